/** How old the persons are that event rows show: an id never goes back, and what others change is heard of in time. */
import { type Followed, isHoldable, type Period, sourceOf, stateOf } from './follow.ts';
import type { EventRow, Outputs } from './outputs.ts';
import type { Ran, SentRecord } from './run.ts';
import { EPOCH_MS } from './world.ts';

/** A row waits for its save and its append, and for those before it. */
const SLACK_MS = 1_500;

interface Shown {
  readonly record: SentRecord;
  readonly row: EventRow;
  /** When the person was as the row shows it. */
  readonly periods: readonly Period[];
}

export function checkFreshness(ran: Ran, followed: Followed, outputs: Outputs): string[] {
  const shown = firstRows(ran, followed, outputs);
  return [...checkBackwards(shown), ...(isQuiet(ran) ? checkLag(ran, shown) : [])];
}

/** Rows that are not repeats, in the order of the log. */
function firstRows({ records, plan }: Ran, { states }: Followed, { rows }: Outputs): readonly Shown[] {
  const bySource = new Map<string, EventRow>();
  const again = new Set<string>();
  for (const row of rows) {
    if (bySource.has(row.source)) again.add(row.source);
    else bySource.set(row.source, row);
  }
  const mayBeRivals = plan.incidents.some(({ kind }) => kind === 'cut off' || kind === 'freeze');
  return records.flatMap((record): Shown[] => {
    const row = bySource.get(sourceOf(record));
    if (row === undefined || row.person_mode === 'propertyless') return [];
    // Perhaps of somebody who has lost the partition, and does not know it yet.
    if (mayBeRivals && again.has(row.source)) return [];
    if (row.timestampMs !== EPOCH_MS + record.event.atMs) return [];
    const periods = states.get(stateOf(row.person_id, JSON.parse(row.person_properties)));
    return periods ? [{ record, row, periods }] : [];
  });
}

/** A row of an id shows no earlier state than the one before. */
function checkBackwards(shown: readonly Shown[]): string[] {
  const failures: string[] = [];
  const last = new Map<string, Shown>();
  for (const one of shown) {
    const { distinctId } = one.record.event;
    const before = last.get(distinctId);
    last.set(distinctId, one);
    if (before === undefined) continue;
    if (isHoldable(before.record.event) && !isHoldable(one.record.event)) continue;
    const earliest = Math.min(...before.periods.map(({ from }) => from));
    if (one.periods.some(({ until }) => until > earliest)) continue;
    failures.push(
      `row ${one.row.source} of ${distinctId} shows an earlier state than row ${before.row.source}`,
    );
  }
  return failures;
}

/** Nothing but the tail's delay makes rows old. */
function isQuiet({ plan }: Ran): boolean {
  const { weather, tail, incidents, small } = plan;
  return !small && incidents.length === 0 && weather.failures + weather.rollbacks === 0 && !tail.silent;
}

function checkLag({ plan }: Ran, shown: readonly Shown[]): string[] {
  const allowedMs = plan.tail.delayMsMax + SLACK_MS;
  return shown.flatMap(({ row, periods }) => {
    const agesMs = periods.map(({ untilMs }) => row.arrivedMs - untilMs);
    const ageMs = Math.min(...agesMs);
    return ageMs > allowedMs
      ? [`row ${row.source} shows a state that was over for ${ageMs} ms, ${allowedMs} ms are allowed`]
      : [];
  });
}
