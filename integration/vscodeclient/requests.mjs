// Requests to the service from chosen addresses of this machine.

import http from 'node:http';
import { within } from './ide.mjs';

// Pending is a request whose response is awaited.
export class Pending {
  answered = false;

  #reply;

  constructor(url, localAddress) {
    this.#reply = new Promise((resolve, reject) => {
      const request = http.get(url, { localAddress, agent: false }, (response) => {
        response.resume();
        response.on('error', reject);
        response.on('end', () => { this.answered = true; resolve(response.statusCode); });
      });
      request.on('error', reject);
    });
    this.#reply.catch(() => {}); // status reports it
  }

  // status waits for the end of the response.
  status() { return within(this.#reply, 'response'); }
}

// countOK sends n requests one after the other and counts those answered with 200.
export async function countOK(n, url, localAddress) {
  let ok = 0;
  for (let i = 0; i < n; i++) {
    if (await new Pending(url, localAddress).status() === 200) ok++;
  }
  return ok;
}
