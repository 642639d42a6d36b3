// Requests to the service from chosen addresses of this machine.

import http from 'node:http';

// Pending is a request whose response is awaited. Its connection closes by
// itself only when the response is complete, so that one which is never
// answered is noticed.
export class Pending {
  answered = false;

  reply; // resolves to {status, body}

  constructor(url, localAddress) {
    this.reply = new Promise((resolve, reject) => {
      const request = http.get(url, { localAddress, agent: false }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          this.answered = true;
          resolve({ status: response.statusCode, body: Buffer.concat(chunks).toString() });
        });
      });
      request.on('error', reject);
    });
    this.reply.catch(() => {}); // whoever awaits it reports it
  }
}

// countOK sends n requests one after the other and counts those answered with 200.
export async function countOK(n, url, localAddress) {
  let ok = 0;
  for (let i = 0; i < n; i++) {
    if ((await new Pending(url, localAddress).reply).status === 200) ok++;
  }
  return ok;
}
