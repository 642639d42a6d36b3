// The debug type "remotedbg". The agent speaks the Debug Adapter Protocol
// itself, so all there is to do is to say where it listens; the launch
// configuration goes to it as the arguments of attach.
//
// An item of the status bar says when the agent has taken the breakpoints:
// requests sent before that are not stopped. VS Code itself shows nothing by
// which one could tell.

const vscode = require('vscode');

const type = 'remotedbg';

function descriptor(session) {
  const { host, port } = session.configuration;
  if (!Number.isInteger(port)) {
    throw new Error('remotedbg: launch configuration: no port: give the one that remotedbg attach printed');
  }
  return new vscode.DebugAdapterServer(port, host ?? '127.0.0.1');
}

function tracker(item, session) {
  return {
    onDidSendMessage(message) {
      if (message.type === 'response' && message.command === 'configurationDone' && message.success) {
        item.text = `remotedbg: ready (${session.name})`;
        item.show();
      }
    },
    onWillStopSession() { item.hide(); },
    onExit() { item.hide(); },
  };
}

exports.activate = (context) => {
  const item = vscode.window.createStatusBarItem('remotedbg.ready', vscode.StatusBarAlignment.Left);
  item.name = 'remotedbg';
  context.subscriptions.push(
    item,
    vscode.debug.registerDebugAdapterDescriptorFactory(type, { createDebugAdapterDescriptor: descriptor }),
    vscode.debug.registerDebugAdapterTrackerFactory(type, {
      createDebugAdapterTracker: (session) => tracker(item, session),
    }),
  );
};
