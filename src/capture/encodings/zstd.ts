/**
 * zstd, as SDKs may use it with Capture V1. Node has none before version 22, and fzstd does not bound its work by what
 * comes out: so it works on a thread of its own, which is ended when it takes too long.
 */
import { Worker } from 'node:worker_threads';
import { Queue } from '../queue.ts';
import { Refusal } from '../refusal.ts';
import {
  type DecodeLimits,
  type Encoding,
  inflatedTooLarge,
  malformed,
  tooManyWait,
  type Unwrapped,
} from './encoding.ts';
import { isZstd, readFrame } from './zstd-frame.ts';

export const ZSTD: Encoding = {
  layer: 'compression',
  names: ['zstd'],
  applies: isZstd,
  decode: unwrap,
};

async function unwrap(bytes: Buffer, limits: DecodeLimits): Promise<Unwrapped | Refusal> {
  const { inflatedBytesMax, zstdWaitingMax } = limits;
  const frame = readFrame(bytes);
  if (frame === undefined) return malformed('the body is not valid zstd: its frame is cut off');
  // Each frame would cost the memory of its window.
  if (frame.length !== bytes.length) return malformed('the body holds more than one zstd frame: send one');
  if (Math.max(frame.contentBytes ?? 0, frame.windowBytes) > inflatedBytesMax) {
    return inflatedTooLarge(inflatedBytesMax);
  }
  const decoded = queue.run(zstdWaitingMax, () => decode({ bytes, bytesMax: inflatedBytesMax }, limits));
  return decoded ?? tooManyWait('zstd');
}

interface Order {
  readonly bytes: Buffer;
  readonly bytesMax: number;
}

/** One of the two. */
interface Reply {
  readonly bytes?: Uint8Array;
  readonly fault?: string;
}

/** The thread's word for more bytes than `bytesMax`. */
const TOO_LARGE = 'too_large';

/** One thread for the process, made when it is first needed; bodies are decoded one after the other. */
let thread: Worker | undefined;
const queue = new Queue();

function decode(order: Order, limits: DecodeLimits): Promise<Unwrapped | Refusal> {
  const worker = thread ?? startThread();
  thread = worker;
  return new Promise((resolve) => {
    const end = (outcome: Unwrapped | Refusal) => {
      clearTimeout(timer);
      worker.off('message', onMessage);
      worker.off('error', onError);
      resolve(outcome);
    };
    const giveUp = (refusal: Refusal) => {
      thread = undefined;
      end(refusal);
      void worker.terminate();
    };
    const onMessage = ({ bytes, fault }: Reply) => {
      if (bytes) return end({ bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) });
      end(fault === TOO_LARGE ? inflatedTooLarge(order.bytesMax) : notZstd(fault));
    };
    const onError = (error: unknown) => giveUp(notZstd(error));
    const timer = setTimeout(() => giveUp(tooSlow(limits.zstdTimeoutMs)), limits.zstdTimeoutMs);
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.postMessage(order);
  });
}

const notZstd = (cause: unknown): Refusal => malformed(`the body is not valid zstd: ${cause}`);

/** It may have been this machine: nothing says that the body is to blame. */
function tooSlow(timeoutMs: number): Refusal {
  const text = `the body took more than ${timeoutMs} ms to decode: send it again later, or with gzip`;
  return new Refusal('overloaded', text);
}

function startThread(): Worker {
  const worker = new Worker(new URL('./zstd-worker.mjs', import.meta.url), { execArgv: [] });
  // A thread that waits for work keeps no process alive.
  worker.unref();
  return worker;
}
