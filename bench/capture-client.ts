/** A process that posts a load over keep-alive connections, one request at a time on each. */
import { connect } from 'node:net';
import type { ClientOrder } from './capture-contest.ts';
import { type LoadName, requestsOf } from './capture-loads.ts';

const CONNECTIONS = 64;
/** Resolves once `next` has given nothing more and the last answer has come. */
function converse(port: number, next: () => Buffer | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    let answer = '';
    const send = () => {
      const request = next();
      if (request !== undefined) socket.write(request);
      else socket.end(resolve);
    };
    socket.on('connect', send);
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the server closed the connection')));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      if (!isComplete(answer)) return;
      if (!answer.startsWith('HTTP/1.1 200')) {
        socket.destroy();
        reject(new Error(`the server answered: ${answer}`));
        return;
      }
      answer = '';
      send();
    });
  });
}

function isComplete(answer: string): boolean {
  const headEnd = answer.indexOf('\r\n\r\n');
  if (headEnd < 0) return false;
  const length = /content-length: (\d+)/i.exec(answer)?.[1];
  return answer.length >= headEnd + 4 + Number(length ?? 0);
}

const load = process.argv[2] as LoadName;
const different = requestsOf(load);

process.on('message', ({ port, requests }: ClientOrder) => {
  let sent = 0;
  const next = () => (sent < requests ? different[sent++ % different.length] : undefined);
  const conversations = Array.from({ length: CONNECTIONS }, () => converse(port, next));
  // A failure ends the process, and so the benchmark.
  void Promise.all(conversations).then(() => process.send?.({}));
});
