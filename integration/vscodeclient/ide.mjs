// An IDE that speaks DAP through VS Code's own client library and asks what VS
// Code asks, in its order. It knows the protocol and nothing of remotedbg.
//
// The library's requests stay pending for ever if the connection closes under
// them, and its waits have no bound when it dials a server, so every request
// and every wait here has one.

import { basename } from 'node:path';
import testsupport from '@vscode/debugadapter-testsupport';

const timeout = 20_000; // ms; the machine may be busy

// within fails unless a promise settles in time.
export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${timeout} ms`)), timeout);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// What VS Code says of itself in initialize.
const clientCapabilities = {
  clientID: 'vscode',
  clientName: 'Visual Studio Code',
  adapterID: 'go',
  pathFormat: 'path',
  linesStartAt1: true,
  columnsStartAt1: true,
  supportsVariableType: true,
  supportsVariablePaging: true,
  supportsRunInTerminalRequest: true,
  locale: 'en',
  supportsProgressReporting: true,
  supportsInvalidatedEvent: true,
  supportsMemoryReferences: true,
  supportsArgsCanBeInterpretedByShell: true,
  supportsMemoryEvent: true,
  supportsStartDebuggingRequest: true,
  supportsANSIStyling: true,
};

// The attach arguments that the Go extension makes of a launch.json with mode
// remote. Those that begin with __ are VS Code's own and sent as well.
const attachArguments = (port, substitutePath) => ({
  name: 'shop',
  type: 'go',
  request: 'attach',
  mode: 'remote',
  debugAdapter: 'dlv-dap',
  host: '127.0.0.1',
  port,
  packagePathToGoModPathMap: {},
  substitutePath,
  showRegisters: false,
  showGlobalVariables: false,
  hideSystemGoroutines: false,
  showLog: false,
  logOutput: 'debugger',
  dlvFlags: [],
  dlvToolPath: '/usr/local/bin/dlv',
  env: {},
  internalConsoleOptions: 'neverOpen',
  __configurationTarget: 5,
  __sessionId: 'b6a4fb6c-4b7d-4d5a-9a3e-1f6d6c3f5b52',
});

export class IDE {
  #client = new testsupport.DebugClient('node', '', 'go');
  #waiters = [];

  events = []; // every one that came, in order

  constructor() {
    for (const name of ['initialized', 'stopped', 'continued', 'thread', 'output', 'breakpoint', 'terminated', 'exited']) {
      this.#client.on(name, (event) => {
        this.events.push(event);
        this.#waiters = this.#waiters.filter((waits) => !waits());
      });
    }
  }

  async ask(command, args) {
    const response = await within(this.#client.customRequest(command, args), command);
    return response.body ?? {};
  }

  // refusal is the message of a request that must fail.
  refusal(command, args) {
    return this.ask(command, args).then(
      (body) => { throw new Error(`${command} ${JSON.stringify(args)} was answered with ${JSON.stringify(body)}`); },
      (err) => err.message,
    );
  }

  // event waits for the next event since position from that matches.
  event(what, from, matches) {
    return within(new Promise((resolve) => {
      const look = () => {
        const found = this.events.slice(from).find(matches);
        if (found) resolve(found.body);
        return found !== undefined;
      };
      if (!look()) this.#waiters.push(look);
    }), `event ${what}`);
  }

  stopped(from, thread) {
    return this.event(`stopped of ${thread ?? 'any thread'}`, from,
      (e) => e.event === 'stopped' && (thread === undefined || e.body.threadId === thread));
  }

  // start attaches and sets breakpoints in one file, as VS Code starts a session.
  async start(port, substitutePath, file, lines) {
    await within(this.#client.start(port), `connection to port ${port}`);
    const capabilities = await this.ask('initialize', clientCapabilities);
    const attached = this.ask('attach', attachArguments(port, substitutePath)); // answered any time
    await Promise.all([attached, this.event('initialized', 0, (e) => e.event === 'initialized')]);
    const { breakpoints } = await this.ask('setBreakpoints', {
      source: { name: basename(file), path: file },
      lines,
      breakpoints: lines.map((line) => ({ line })),
      sourceModified: false,
    });
    if (capabilities.supportsFunctionBreakpoints) await this.ask('setFunctionBreakpoints', { breakpoints: [] });
    if (capabilities.supportsInstructionBreakpoints) await this.ask('setInstructionBreakpoints', { breakpoints: [] });
    if (capabilities.exceptionBreakpointFilters?.length) await this.ask('setExceptionBreakpoints', { filters: [] });
    if (capabilities.supportsDataBreakpoints) await this.ask('setDataBreakpoints', { breakpoints: [] });
    await this.ask('configurationDone');
    const { threads } = await this.ask('threads');
    return { capabilities, breakpoints, threads };
  }

  // stack is what VS Code fetches at a stop: the thread list, the innermost
  // frame, and once that is shown the next 19.
  async stack(threadId) {
    const { threads } = await this.ask('threads');
    const first = await this.ask('stackTrace', { threadId, startFrame: 0, levels: 1 });
    const rest = await this.ask('stackTrace', { threadId, startFrame: 1, levels: 19 });
    const frames = [...first.stackFrames, ...rest.stackFrames];
    return { threads, firstPage: first.stackFrames.length, total: first.totalFrames, frames };
  }

  // children are the variables behind a reference, by name.
  async children(variablesReference) {
    const { variables } = await this.ask('variables', { variablesReference });
    return Object.fromEntries(variables.map((v) => [v.name, v]));
  }

  // locals are the variables of the scopes that VS Code expands by itself, the
  // first scope's before those of the same name in others.
  async locals(frameId) {
    const { scopes } = await this.ask('scopes', { frameId });
    const cheap = await Promise.all(scopes.filter((s) => !s.expensive).map((s) => this.children(s.variablesReference)));
    return { scopes, variables: Object.assign({}, ...cheap.reverse()) };
  }

  async evaluate(frameId, context, expression) {
    return (await this.ask('evaluate', { expression, frameId, context })).result;
  }

  // step carries out next, stepIn or stepOut and returns where it ended.
  async step(command, threadId) {
    const from = this.events.length;
    await this.ask(command, { threadId });
    const stop = await this.stopped(from, threadId);
    const { frames } = await this.stack(threadId);
    return { stop, frame: frames[0] };
  }

  // resume continues a thread and waits for its end.
  async resume(threadId) {
    const from = this.events.length;
    const reply = await this.ask('continue', { threadId });
    await this.event(`exited of thread ${threadId}`, from,
      (e) => e.event === 'thread' && e.body.reason === 'exited' && e.body.threadId === threadId);
    return reply;
  }

  // disconnect ends the session as the stop button of an attached one does.
  async disconnect() {
    await this.ask('disconnect', { restart: false });
    this.#client.stopAdapter(); // closes the socket
  }
}
