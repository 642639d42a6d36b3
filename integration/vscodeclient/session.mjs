// One debug session with two requests frozen at once, then one that is let go
// by disconnecting. It judges nothing: it prints what it saw as one line of
// JSON on stdout, and vscode_test.go, which also says what the argument holds,
// holds that against the service's source.

import { IDE } from './ide.mjs';
import { Pending, countOK } from './requests.mjs';

const plan = JSON.parse(process.argv[2]);
const ide = new IDE();
const saw = {};

const send = (id) => new Pending(`${plan.service}/orders/${id}`, plan.allowed);

// freeze sends a request and looks at its stop as VS Code does.
async function freeze(id) {
  const from = ide.events.length;
  const request = send(id);
  const passed = request.status().then((status) => {
    throw new Error(`order ${id} was answered with ${status} and did not stop`);
  });
  const stop = await Promise.race([ide.stopped(from), passed]);
  const stack = await ide.stack(stop.threadId);
  const locals = await ide.locals(stack.frames[0].id);
  return { request, thread: stop.threadId, frame: stack.frames[0].id, seen: { stop, stack, ...locals } };
}

// nextTo presses next until the thread is at a line, at most 20 times: the
// compiler may visit a line twice.
async function nextTo(thread, line) {
  const way = [];
  do {
    way.push(await ide.step('next', thread));
  } while (way.at(-1).frame.line !== line && way.length < 20);
  return way;
}

async function topOf(thread) {
  return (await ide.stack(thread)).frames[0];
}

async function look(first) {
  const order = await ide.children(first.seen.variables.order.variablesReference);
  const items = await ide.children(order.Items.variablesReference);
  saw.order = order;
  saw.item = await ide.children(items['[1]'].variablesReference);
  saw.evaluated = [];
  for (const [context, expression] of plan.expressions) {
    saw.evaluated.push(await ide.evaluate(first.frame, context, expression));
  }
  saw.refused = [];
  for (const [context, expression] of plan.refused) {
    saw.refused.push(await ide.refusal('evaluate', { expression, frameId: first.frame, context }));
  }
}

// moveTwo steps two frozen requests, one after the other and both at once.
async function moveTwo(first, second) {
  saw.toCall = await nextTo(second.thread, plan.callLine);
  saw.into = await ide.step('stepIn', second.thread);
  saw.out = await ide.step('stepOut', second.thread);
  saw.firstStays = await topOf(first.thread);
  saw.firstStillID = await ide.evaluate(first.frame, 'watch', 'id'); // of before the other's steps
  saw.together = await Promise.all([nextTo(first.thread, plan.callLine), nextTo(second.thread, plan.afterCallLine)]);
  saw.othersServed = await countOK(plan.others, `${plan.service}/orders/7`, plan.otherAddress);
}

async function session() {
  Object.assign(saw, await ide.start(plan.port, plan.substitutePath, plan.file, plan.breakLines));

  const first = await freeze(7);
  saw.first = first.seen;
  await look(first);
  const second = await freeze(14);
  saw.second = second.seen;
  await moveTwo(first, second);
  saw.answeredEarly = first.request.answered || second.request.answered;

  saw.continuedSecond = await ide.resume(second.thread);
  saw.secondStatus = await second.request.status();
  saw.afterSecond = (await ide.stack(first.thread)).threads;
  saw.firstHeld = !first.request.answered;
  saw.continuedFirst = await ide.resume(first.thread);
  saw.firstStatus = await first.request.status();

  const third = await freeze(3);
  saw.third = third.seen;
  await ide.disconnect();
  saw.thirdStatus = await third.request.status();
}

try {
  await session();
  saw.events = ide.events;
  process.stdout.write(`${JSON.stringify(saw)}\n`, () => process.exit(0));
} catch (err) {
  const text = `${err.stack}\nevents: ${JSON.stringify(ide.events)}\nsaw: ${JSON.stringify(saw)}\n`;
  process.stderr.write(text, () => process.exit(1));
}
