/** `/_held`: what the hold knows of one event. */
import type { HoldReport, ReleaseReason } from '../actors/hold-report.ts';

export type HeldAnswer =
  /** Not held, or released so long ago that it is forgotten. */
  | { readonly state: 'unknown' }
  | {
      readonly state: 'held';
      readonly distinct_id: string;
      /** ISO 8601, UTC. */
      readonly until: string;
      /** Events that are held for this distinct id. */
      readonly events: number;
    }
  | {
      readonly state: 'released';
      readonly distinct_id: string;
      readonly by: ReleaseReason;
      /** The event that said who the id is. */
      readonly by_event: { readonly uuid: string; readonly name: string } | null;
    };

export function heldAnswer(report: HoldReport | undefined): HeldAnswer {
  if (report === undefined) return { state: 'unknown' };
  const { state, distinctId } = report;
  if (state === 'held') {
    const until = new Date(report.untilMs).toISOString();
    return { state, distinct_id: distinctId, until, events: report.events };
  }
  return { state, distinct_id: distinctId, by: report.by, by_event: report.byEvent ?? null };
}
