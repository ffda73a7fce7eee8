// Decodes zstd on a thread of its own, for zstd.ts, which has checked the frame and ends the thread if it takes too
// long. JavaScript, so that the thread needs no loader.
import { parentPort } from 'node:worker_threads';
import { Decompress } from 'fzstd';

function decode({ bytes, bytesMax }) {
  const parts = [];
  let length = 0;
  const stream = new Decompress((part) => {
    length += part.length;
    if (length > bytesMax) throw new Error('too_large');
    parts.push(part);
  });
  stream.push(bytes, true);
  return Buffer.concat(parts);
}

parentPort.on('message', (order) => {
  try {
    parentPort.postMessage({ bytes: decode(order) });
  } catch (error) {
    parentPort.postMessage({ fault: error instanceof Error ? error.message : String(error) });
  }
});
