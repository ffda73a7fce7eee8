/** Persons and groups that a former owner saved and may not have sent are sent again, as they are now. */
import { groupKey } from '../person/group.ts';
import type { FoldedRange, PersonStore } from '../storage/person-store.ts';
import type { Messages } from './messages.ts';
import type { Outbox } from './outbox.ts';

export interface ResendOptions {
  readonly store: Pick<PersonStore, 'findRecorded'>;
  readonly outbox: Pick<Outbox, 'push'>;
  readonly messages: () => Messages;
  /** Persons that are read together; as many groups. */
  readonly atOnceMax: number;
}

/**
 * Resolves once they are on their way, before everything that is pushed later. `untilSent`: once they are durable, and
 * never when the outbox is closed before; so no more than one part of them waits there.
 */
export async function resend(
  { store, outbox, messages, atOnceMax }: ResendOptions,
  ranges: readonly FoldedRange[],
  untilSent: boolean,
): Promise<void> {
  const persons = [...new Set(ranges.flatMap((range) => range.persons))];
  const byKey = new Map(ranges.flatMap((range) => range.groups.map((group) => [groupKey(group), group])));
  const groups = [...byKey.values()];
  for (let from = 0; from < Math.max(persons.length, groups.length); from += atOnceMax) {
    const to = from + atOnceMax;
    const part = messages();
    part.recorded(await store.findRecorded(persons.slice(from, to), groups.slice(from, to)));
    const sent = new Promise<void>((resolve) => outbox.push(part.batch, resolve));
    if (untilSent) await sent;
  }
}
