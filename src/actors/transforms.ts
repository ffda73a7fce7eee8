/** Apps that change or drop an event before its person is looked at. In order, one event after another; asynchronous. */
import type { PipelineEvent } from '../event/event.ts';
import type { Entry } from './entry.ts';
import type { Messages } from './messages.ts';

export interface Transform {
  readonly name: string;
  /** The event as it goes on; `null` drops it. */
  readonly run: (event: PipelineEvent) => Promise<PipelineEvent | null>;
}

/** The apps of this version: none. */
export const TRANSFORMS: readonly Transform[] = [];

/** A transform that drops an event gives its record the fate; one that throws leaves the event as it was. */
export async function applyTransforms(
  transforms: readonly Transform[],
  entries: readonly Entry[],
  messages: Messages,
  onFailed: (transform: string, error: unknown) => void,
): Promise<readonly Entry[]> {
  const kept: Entry[] = [];
  for (const entry of entries) {
    let event: PipelineEvent | null = entry.event;
    for (const transform of transforms) {
      try {
        event = await transform.run(event);
      } catch (error) {
        onFailed(transform.name, error);
      }
      if (event === null) break;
    }
    if (event === null) messages.drop(entry, { kind: 'drop', reason: 'transform' });
    else kept.push({ ...entry, event });
  }
  return kept;
}
