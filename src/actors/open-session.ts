/** A session, with everything that a worker's options say about it. */
import { createHash } from 'node:crypto';
import { createNactSystem } from './nact.ts';
import { Session, type SessionOptions } from './session.ts';
import { WarningDebounce } from './warning-debounce.ts';
import type { WorkerOptions } from './worker.ts';

/** What the worker keeps over its sessions, and what it does for them. */
type Keeper = Pick<
  SessionOptions,
  'holdWatch' | 'metrics' | 'duplicates' | 'pause' | 'resume' | 'commit' | 'onFailure'
>;

export function openSession(options: WorkerOptions, keeper: Keeper): Session {
  const { limits, deriveRecordUuid, onFault } = options;
  return new Session({
    ...options,
    ...keeper,
    store: options.persons,
    system: createNactSystem(onFault),
    messages: {
      bytesMax: limits.outputBytesMax,
      payloadBytesMax: limits.deadLetterPayloadBytesMax,
      deriveRecordUuid,
      debounce: new WarningDebounce(limits.warningsRememberedMax),
      digest: (bytes) => createHash('sha256').update(bytes).digest('hex'),
    },
  });
}
