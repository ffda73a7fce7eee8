/** What stands between clients and capture, and is busy or gone for a while. */
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

/** busy: 503, come again in a second. gone: it closes every connection without an answer. */
export type Mood = 'open' | 'busy' | 'gone';

export interface Front {
  readonly url: string;
  mood: Mood;
  /** Capture's url; a restart may change it. */
  target: string;
  /** Requests that were turned away, here or there. */
  readonly turnedAway: number;
}

/** Ends with `t`. */
export async function startFront(t: Test, captureUrl: string): Promise<Front> {
  const state = { url: '', target: captureUrl, mood: 'open' as Mood, turnedAway: 0 };
  const server = createServer((request, response) => {
    if (state.mood === 'open') {
      const onFailure = () => {
        state.turnedAway += 1;
      };
      return pass(request, response, state.target, onFailure);
    }
    state.turnedAway += 1;
    if (state.mood === 'gone') return void request.socket.destroy();
    response.writeHead(503, {
      'Retry-After': '1',
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Expose-Headers': 'Retry-After',
    });
    request.resume();
    return void response.end('busy');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return state;
}

function pass(
  request: IncomingMessage,
  response: ServerResponse,
  target: string,
  onFailure: () => void,
): void {
  const { method, url = '/', headers } = request;
  const onward = forward(new URL(url, target), { method, headers }, (answer) => {
    const { statusCode = 502 } = answer;
    if (statusCode >= 500) onFailure();
    response.writeHead(statusCode, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => {
    onFailure();
    response.destroy();
  });
  request.pipe(onward);
}
