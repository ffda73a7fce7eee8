/** A log whose readers can be made to stand still, so that all that they will take lies ready before it counts. */
import type { Assignment, EventLog, Subscription, TopicPartition } from '../src/storage/event-log.ts';

export interface Gate {
  /** Give it to the readers. */
  readonly log: EventLog;
  shut(): void;
  open(): void;
}

interface Reader {
  readonly subscription: Subscription;
  /** Those that it was given, by name. */
  readonly assignments: ReadonlyMap<string, Assignment>;
  /** Names of those that it has paused by itself. */
  readonly paused: ReadonlySet<string>;
}

const nameOf = ({ topic, partition }: TopicPartition): string => `${topic} ${partition}`;

/** Open at first. */
export function gate(log: EventLog): Gate {
  const readers: Reader[] = [];
  let isOpen = true;
  return {
    log: {
      ...log,
      async subscribe(subscriber) {
        const assignments = new Map<string, Assignment>();
        const paused = new Set<string>();
        const subscription = await log.subscribe({
          ...subscriber,
          onAssign: (assignment) => {
            assignments.set(nameOf(assignment), assignment);
            paused.delete(nameOf(assignment));
            return subscriber.onAssign(assignment);
          },
          onRevoke: (assignment) => {
            assignments.delete(nameOf(assignment));
            subscriber.onRevoke(assignment);
          },
          onRecords: (assignment, records) => subscriber.onRecords(assignment, records),
          onError: (error) => subscriber.onError(error),
        });
        readers.push({ subscription, assignments, paused });
        return {
          pause(at) {
            paused.add(nameOf(at));
            subscription.pause(at);
          },
          resume(at) {
            paused.delete(nameOf(at));
            if (isOpen) subscription.resume(at);
          },
          rewind: (at, offset) => subscription.rewind(at, offset),
          commit: (assignment, offset) => subscription.commit(assignment, offset),
          close: () => subscription.close(),
        };
      },
    },
    shut() {
      isOpen = false;
      for (const { subscription, assignments } of readers) {
        for (const assignment of assignments.values()) subscription.pause(assignment);
      }
    },
    open() {
      isOpen = true;
      for (const { subscription, assignments, paused } of readers) {
        for (const [name, assignment] of assignments) {
          if (!paused.has(name)) subscription.resume(assignment);
        }
      }
    },
  };
}
