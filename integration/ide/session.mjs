// One debug session in VS Code itself, as a person would have it. It judges
// nothing: it prints what was to be seen as one line of JSON on stdout, and
// judge.go, which also says what the argument holds (plan.go), holds that
// against the service's source.

import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { Pending, countOK } from './requests.mjs';
import { until, within } from './until.mjs';
import { Workbench } from './workbench.mjs';

const plan = JSON.parse(process.argv[2]);
const saw = {};
const begun = Date.now();
let bench;
let shots = 0;

const send = (id) => new Pending(`${plan.service}/orders/${id}`, plan.allowed);
const name = (id) => `GET /orders/${id} from ${plan.allowed}`;

async function shot(stage) {
  shots++;
  await bench.screenshot(join(plan.screenshots, `${String(shots).padStart(2, '0')}-${stage}.png`));
  process.stderr.write(`${((Date.now() - begun) / 1000).toFixed(1)} s: ${stage}\n`);
}

// passed fails at once if a request that has to stop is answered: a wait for
// its stop would only say that it took too long.
function passed(request, id) {
  return request.reply.then((reply) => {
    throw new Error(`order ${id} was answered with ${reply.status} and did not stop`);
  });
}

const value = (variables, of) => variables.find((v) => v.name === of)?.value;

// shows waits until one line is highlighted and the variables are those of an order.
async function shows(id, request) {
  const seen = until(`a stopped line and the variables of order ${id}`, async () => {
    const [line, variables] = [await bench.stoppedLine(), await bench.variables()];
    return line !== undefined && value(variables, 'id') === String(id) && { line, variables };
  });
  return Promise.race([seen, passed(request, id)]);
}

const none = () => until('no line is highlighted', async () => (await bench.stoppedLines()).length === 0);

// says is what the title of the call stack says while one thread is listed.
const says = () => until('the call stack says why the request stands', async () => await bench.stateMessage() || undefined);

async function attach() {
  await bench.open(plan.url, plan.folder);
  await bench.widen(plan.sideBar);
  await bench.openFile(plan.file, plan.breakLine);
  await shot('file');
  await bench.breakAt(plan.breakLine);
  await shot('breakpoint');
  await bench.openRunView();
  await bench.fold('Watch'); // rows that are scrolled out of a view are not in the page
  saw.configuration = await bench.start();
  await bench.status('remotedbg: ready');
  saw.verifiedLine = await until('the breakpoint is verified', () => bench.breakpointLine());
  await shot('attached');
  await bench.fold('Breakpoints'); // it lists the kinds of panics, too
}

// one freezes a request, looks at it, steps it once and lets it go.
async function one(id) {
  const request = send(id);
  const stop = await shows(id, request);
  await until('a call stack', async () => (await bench.callStack()).length > 0);
  await shot('stopped');
  const frames = await until('the whole call stack', async () => {
    const all = await bench.callStack();
    if (all.some((row) => row.frame === 'http.(*conn).serve')) return all;
    await bench.moreFrames();
    return undefined;
  });
  await bench.expand('order', true);
  const fields = await until('the fields of order', async () => {
    const all = await bench.variables();
    return value(all, 'Customer') !== undefined && all;
  });
  await shot('expanded');
  await bench.expand('order', false);
  saw.one = { ...stop, arrow: await bench.arrowLine(), message: await says(), frames, fields };
  saw.request = await requestScope();
  saw.others = await countOK(plan.others, `${plan.service}/orders/${id}`, plan.otherAddress);
  saw.heldThen = !request.answered;

  await bench.press('step-over');
  saw.stepped = await until('the highlighted line moves', async () => {
    const [line, variables] = [await bench.stoppedLine(), await bench.variables()];
    return line !== undefined && line !== stop.line && value(variables, 'attempts') !== undefined && { line, variables };
  });
  await shot('stepped');
  await bench.press('continue');
  saw.oneReply = await within('the answer', request.reply);
  await none();
  await shot('continued');
}

// requestScope is the scope that only remotedbg has.
async function requestScope() {
  await bench.expandScope('Request', true);
  const seen = await until('the scope Request', async () => {
    const all = await bench.variables();
    return value(all, 'method') !== undefined && all.slice(all.findIndex((v) => v.scope === 'Request') + 1);
  });
  await shot('request-scope');
  await bench.expandScope('Request', false);
  return seen;
}

// stops are the threads of the call stack, each with its innermost frame.
const stops = (rows) => rows.flatMap((row, i) => (
  row.thread === undefined ? [] : [{ ...row, line: rows[i + 1]?.line }]
));

// two freezes two requests at the same time, moves one of them, then lets it go
// alone.
async function two(id, other) {
  const [staying, going] = [send(id), send(other)];
  saw.two = await Promise.race([
    until('two stopped threads', async () => {
      await bench.unfold();
      const all = stops(await bench.callStack());
      return all.length === 2 && all.every((t) => t.state.startsWith('Paused') && t.line > 0) && all;
    }),
    passed(staying, id), passed(going, other),
  ]);
  await shot('two-stopped');

  await bench.focus(name(other));
  await shows(other, going);
  await bench.press('step-over');
  saw.oneMoved = await until('the two stand at different lines', async () => {
    await bench.unfold();
    const all = stops(await bench.callStack());
    return all.length === 2 && all.every((t) => t.line > 0 && t.state.startsWith('Paused')) &&
      all[0].line !== all[1].line && all;
  });
  await shot('two-one-stepped');

  await bench.pressOn(name(other), 'continue');
  saw.goneReply = await within('the answer to the one that was continued', going.reply);
  await until('one thread is left', async () => stops(await bench.callStack()).length === 0);
  saw.left = await shows(id, staying);
  saw.leftMessage = await says();
  saw.leftHeld = !staying.answered;
  await shot('one-left');
  await bench.press('continue');
  saw.leftReply = await within('the answer to the other', staying.reply);
  await none();
}

// end disconnects with a request frozen.
async function end(id) {
  const request = send(id);
  await shows(id, request);
  await shot('before-disconnect');
  await bench.press('disconnect');
  saw.endReply = await within('the answer to what was frozen at the disconnect', request.reply);
  await until('the session is over', async () => !await bench.debugging());
  await none();
  await until('the views are empty', async () => (await bench.callStack()).length + (await bench.variables()).length === 0);
  saw.notifications = await bench.notifications();
  await shot('disconnected');
}

const browser = await chromium.launch({
  executablePath: plan.chromium,
  // Chromium's sandbox needs another user than root.
  args: process.getuid() === 0 ? ['--no-sandbox'] : [],
});
let failed;
try {
  const page = await browser.newPage({ viewport: { width: 1500, height: 950 } });
  page.setDefaultTimeout(30_000); // ms
  bench = new Workbench(page);
  await attach();
  await one(plan.first);
  await two(plan.second, plan.third);
  await end(plan.last);
} catch (err) {
  failed = err;
  saw.notifications = await bench?.notifications().catch(() => []);
  if (bench) await shot('failed').catch(() => {});
} finally {
  await browser.close();
}
// The process ends here even if a request is still pending.
if (failed) {
  process.stderr.write(`${failed.stack}\nsaw: ${JSON.stringify(saw)}\n`, () => process.exit(1));
} else {
  process.stdout.write(`${JSON.stringify(saw)}\n`, () => process.exit(0));
}
