// Waits for conditions. None is a sleep: what is looked for ends the wait.

const patience = 30_000; // ms; the machine may be busy

// until looks until it sees something other than undefined, null or false, and
// returns that.
export async function until(what, look, timeout = patience) {
  const end = Date.now() + timeout;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== null && seen !== false) return seen;
    if (Date.now() > end) throw new Error(`${what}: not within ${timeout} ms`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

// within fails unless a promise settles in time.
export function within(what, promise, timeout = patience) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${timeout} ms`)), timeout);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
