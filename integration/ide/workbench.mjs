// VS Code's window as a person uses it: what is clicked is clicked by mouse at
// the place where it is on the screen, and what is read is read off the page.
// It knows VS Code's page and nothing of remotedbg or of the service.

import { errors } from 'playwright-core';
import { until } from './until.mjs';

const started = 90_000; // ms; the first start compiles VS Code's scripts

// VS Code draws its views anew when it likes, 0.4 s after a stop for one, when it has
// loaded the rest of the call stack. So what is clicked there may be gone, or be
// somewhere else: it is tried for this long, and again if it has not had its effect.
const soon = 1000; // ms

const editor = '.editor-instance';
const rows = (pane) => `${pane} .monaco-list-row`;

// linesOf are the lines that elements of a kind are on, each once: those whose
// number is painted at the same height; 0 where none is. It runs in the page.
function linesOf([root, selector]) {
  const numbers = [...document.querySelectorAll(`${root} .margin-view-overlays .line-numbers`)];
  const lines = [...document.querySelectorAll(`${root} ${selector}`)].map((mark) => {
    const height = Math.round(mark.getBoundingClientRect().top);
    const beside = numbers.find((e) => Math.abs(e.getBoundingClientRect().top - height) < 3);
    return beside ? Number(beside.textContent) : 0;
  });
  return [...new Set(lines)];
}

// inTime says whether what is awaited came before its timeout.
function inTime(promise) {
  return promise.then(() => true, (err) => {
    if (err instanceof errors.TimeoutError) return false;
    throw err;
  });
}

export class Workbench {
  #page;

  constructor(page) { this.#page = page; }

  // open opens a folder and waits until its files are listed.
  async open(url, folder) {
    await this.#page.goto(`${url}/?folder=${encodeURIComponent(folder)}`);
    await this.#page.locator(rows('.explorer-folders-view')).first().waitFor({ timeout: started });
  }

  // widen drags the side bar's border, so that what the views show is not cut off.
  async widen(width) {
    const bar = await this.#page.locator('.part.sidebar').boundingBox();
    const [x, y] = [bar.x + bar.width, bar.y + bar.height / 2];
    await until('the side bar is wide', async () => {
      await this.#page.mouse.move(x, y);
      await this.#page.mouse.down();
      await this.#page.mouse.move(bar.x + width, y, { steps: 4 });
      await this.#page.mouse.up();
      return (await this.#page.locator('.part.sidebar').boundingBox()).width > width - 40;
    });
  }

  // openFile opens a file from the explorer and scrolls to a line.
  async openFile(name, line) {
    await this.#page.locator(`${rows('.explorer-folders-view')}[aria-label^="${name}"]`).dblclick();
    await this.#page.locator(`.tab[aria-label^="${name}"]`).waitFor();
    await this.#page.locator(`${editor} .view-line`).first().waitFor();
    await until('the box for a line number is open', async () => {
      await this.#page.keyboard.press('Control+g');
      return inTime(this.#page.locator('.quick-input-widget input:focus').waitFor({ timeout: soon }));
    });
    await this.#page.keyboard.type(String(line));
    await this.#page.keyboard.press('Enter');
    await this.#number(line).waitFor();
  }

  #number(line) {
    return this.#page.locator(`${editor} .margin-view-overlays .line-numbers`, { hasText: new RegExp(`^${line}$`) });
  }

  // breakAt sets a breakpoint by a click into the gutter. The dot under the
  // mouse says that VS Code takes one there; without it a click does nothing.
  async breakAt(line) {
    await until(`the gutter beside line ${line} takes breakpoints`, async () => {
      const [number, gutter] = [await this.#number(line).boundingBox(), await this.#box('.glyph-margin')];
      if (!number || !gutter) return false;
      const [x, y] = [gutter.x + gutter.width / 2, number.y + number.height / 2];
      await this.#page.mouse.move(x, y + 40);
      await this.#page.mouse.move(x, y);
      return await this.#line('.codicon-debug-hint') === line;
    }, started); // the extension that declares the language comes later than the page
    await this.#page.mouse.down();
    await this.#page.mouse.up();
    await until('the breakpoint is in the gutter', async () => await this.breakpointLine() === line);
  }

  #box(selector) { return this.#page.locator(`${editor} ${selector}`).first().boundingBox(); }

  #lines(selector) { return this.#page.evaluate(linesOf, [editor, selector]); }

  // #line is the only line of a kind, undefined if there are several.
  async #line(selector) {
    const lines = await this.#lines(selector);
    return lines.length === 1 && lines[0] > 0 ? lines[0] : undefined;
  }

  // breakpointLine is where a breakpoint is that is not shown as unverified.
  breakpointLine() { return this.#line('.glyph-margin-widgets .codicon-debug-breakpoint'); }

  // stoppedLines are the highlighted ones, of all stopped threads. VS Code takes
  // their marks away later than it lists variables.
  stoppedLines() { return this.#lines('.view-overlays .debug-top-stack-frame-line'); }

  // stoppedLine is the one that is highlighted; undefined: there is none, or there
  // are several.
  stoppedLine() { return this.#line('.view-overlays .debug-top-stack-frame-line'); }

  // arrowLine is the one with the arrow in the gutter.
  arrowLine() { return this.#line('.glyph-margin-widgets .codicon-debug-stackframe'); }

  async openRunView() {
    await this.#page.locator('.activitybar .action-label[aria-label^="Run and Debug"]').click();
    await this.#page.locator('.start-debug-action-item').waitFor();
  }

  // start starts the launch configuration that is chosen and returns its name.
  async start() {
    const item = this.#page.locator('.start-debug-action-item');
    const name = await until('a launch configuration is chosen', async () => {
      const chosen = await item.locator('.start-debug-action-item-label').textContent();
      return !chosen.includes('No Configurations') && chosen.trim();
    });
    await item.locator('.codicon-debug-start').click();
    await this.#page.locator('.debug-toolbar').waitFor();
    return name;
  }

  // status waits for an item of the status bar with a text.
  async status(text) { await this.#page.locator('.statusbar-item', { hasText: text }).waitFor(); }

  // press clicks a button of the debug toolbar: continue, step-over, disconnect.
  async press(name) { await this.#page.locator(`.debug-toolbar .action-item:not(.disabled) .codicon-debug-${name}`).click(); }

  // debugging tells whether the debug toolbar is shown.
  debugging() { return this.#page.locator('.debug-toolbar').isVisible(); }

  // callStack is what the call stack says, a row each: {thread, state} or
  // {frame, file, line} or {more}.
  callStack() {
    return this.#page.locator(rows('.debug-call-stack')).evaluateAll((all) => all.map((row) => {
      const text = (selector) => row.querySelector(selector)?.textContent.trim();
      if (row.querySelector('.thread')) return { thread: text('.thread .name'), state: text('.thread .state') };
      if (row.querySelector('.stack-frame')) {
        return { frame: text('.stack-frame .label'), file: text('.file-name'), line: Number(text('.line-number')) };
      }
      return { more: row.getAttribute('aria-label') };
    }));
  }

  // stateMessage is what the title of the call stack says while only one thread
  // is listed: VS Code leaves out the name of a thread that is alone.
  async stateMessage() {
    const message = this.#page.locator('.call-stack-state-message');
    return await message.isVisible() ? (await message.textContent()).trim() : '';
  }

  // moreFrames has the call stack show frames that it leaves out, if it does.
  async moreFrames() {
    const more = this.#page.locator(`${rows('.debug-call-stack')}[aria-label^="Show "]`);
    if (await more.count() > 0) await inTime(more.first().click({ timeout: soon }));
  }

  // unfold opens a thread whose frames are not shown, if there is one. VS Code
  // opens the one that stopped last by itself, also between the look and the
  // click: then there is nothing left to click at.
  async unfold() {
    const folded = this.#page.locator(`${rows('.debug-call-stack')}[aria-label^="Thread "][aria-expanded="false"]`);
    if (await folded.count() > 0) await inTime(folded.first().locator('.monaco-tl-twistie').click({ timeout: soon }));
  }

  // focus clicks the innermost frame of a thread, until that is the one selected:
  // the rows do not stay where they are.
  async focus(thread) {
    const list = this.#page.locator(rows('.debug-call-stack'));
    await until(`the innermost frame of ${thread} is selected`, async () => {
      const at = (await this.callStack()).findIndex((row) => row.thread === thread);
      if (at < 0 || !await inTime(list.nth(at + 1).click({ timeout: soon }))) return false;
      return list.evaluateAll((all, name) => {
        const i = all.findIndex((row) => row.querySelector('.thread .name')?.textContent.trim() === name);
        const frame = all[i + 1];
        return i >= 0 && frame?.querySelector('.stack-frame') !== null && frame?.classList.contains('selected');
      }, thread);
    });
  }

  // pressOn clicks a button of a thread's own row, which is there while the mouse is
  // over the row: continue, step-over.
  async pressOn(thread, name) {
    const row = this.#page.locator(`${rows('.debug-call-stack')}[aria-label^="Thread ${thread} "]`);
    await until(`${name} of ${thread} can be pressed`, async () => (
      await inTime(row.hover({ timeout: soon })) &&
      await inTime(row.locator(`.codicon-debug-${name}`).click({ timeout: soon }))
    ));
  }

  // variables are the rows of the variables view: {scope} or {name, value}.
  variables() {
    return this.#page.locator(rows('.debug-variables')).evaluateAll((all) => all.map((row) => {
      const scope = row.querySelector('.scope');
      if (scope) return { scope: scope.textContent.trim() };
      const text = (selector) => row.querySelector(selector)?.textContent.trim() ?? '';
      return { name: text('.expression .name').replace(/\s*[=:]$/, ''), value: text('.expression .value') };
    }));
  }

  // fold closes a view of the side bar, which leaves more room to the others.
  async fold(title) {
    const header = this.#page.locator(`.pane-header[aria-label^="${title}"]`);
    await this.#expand(title, header, header.locator('h3.title'), false);
  }

  // expand opens or closes a variable.
  async expand(name, open) {
    const row = this.#page.locator(rows('.debug-variables')).filter({
      has: this.#page.locator('.expression .name', { hasText: new RegExp(`^${name}\\s*[=:]`) }),
    }).first();
    await this.#expand(name, row, row.locator('.monaco-tl-twistie'), open);
  }

  // expandScope opens or closes a scope.
  async expandScope(name, open) {
    const row = this.#page.locator(rows('.debug-variables')).filter({
      has: this.#page.locator('.scope', { hasText: new RegExp(`^${name}`) }),
    });
    await this.#expand(name, row, row.locator('.monaco-tl-twistie'), open);
  }

  // #expand clicks at handle until element is as it should be.
  async #expand(what, element, handle, open) {
    const done = async () => await element.getAttribute('aria-expanded') === String(open);
    await until(`${what} is ${open ? 'open' : 'closed'}`, async () => (
      await done() ||
      await inTime(handle.click({ timeout: soon })) && until(what, done, soon).catch(() => false)
    ));
  }

  // notifications are the messages shown over the window.
  notifications() {
    return this.#page.locator('.notification-list-item-message, .monaco-dialog-box .dialog-message-text').allInnerTexts();
  }

  async screenshot(file) { await this.#page.screenshot({ path: file }); }
}
