/** A log whose readers can be made to stand still, so that all that they will take lies ready before it counts. */
import type { Assignment, EventLog, Subscription } from '../src/storage/event-log.ts';

export interface Gate {
  /** Give it to the readers. */
  readonly log: EventLog;
  shut(): void;
  open(): void;
}

/** Open at first. Only for readers that do not pause their partitions by themselves while the gate is shut. */
export function gate(log: EventLog): Gate {
  const readers: { readonly subscription: Subscription; readonly assignments: Assignment[] }[] = [];
  const forEach = (act: (subscription: Subscription, assignment: Assignment) => void) => {
    for (const { subscription, assignments } of readers)
      for (const one of assignments) act(subscription, one);
  };
  return {
    log: {
      ...log,
      async subscribe(subscriber) {
        const assignments: Assignment[] = [];
        const subscription = await log.subscribe({
          ...subscriber,
          onAssign: (assignment) => {
            assignments.push(assignment);
            return subscriber.onAssign(assignment);
          },
          onRevoke: (assignment) => subscriber.onRevoke(assignment),
          onRecords: (assignment, records) => subscriber.onRecords(assignment, records),
          onError: (error) => subscriber.onError(error),
        });
        readers.push({ subscription, assignments });
        return subscription;
      },
    },
    shut: () => forEach((subscription, assignment) => subscription.pause(assignment)),
    open: () => forEach((subscription, assignment) => subscription.resume(assignment)),
  };
}
