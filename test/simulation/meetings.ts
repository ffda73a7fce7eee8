/** How often the interesting things happened, and whether that is often enough. */
import type { Metrics } from '../../src/metrics.ts';
import type { FoldedRecord } from './follow.ts';
import { sourceOf } from './follow.ts';
import { otherIdOf } from './oracle.ts';
import { isTooLarge } from './outputs.ts';
import type { Ran } from './run.ts';
import type { Verdict } from './verdict.ts';

export type Counts = Map<string, number>;

/** Each has to happen `MEETINGS_MIN` times in `PER_HISTORIES` histories. */
export const MEETINGS = [
  'crash inside a save',
  'crash after a save and before its rows',
  'crash after rows and before progress',
  'crash inside an insert into ClickHouse',
  'replay of a folded record',
  'held event released by identify',
  'held event released by time',
  'held event released by memory',
  'held event released after a restart',
  'held event released after a backlog',
  'merge with unsaved work on both sides',
  'refused merge',
  'duplicate uuid',
  'full mailbox',
  'paused partition',
  'broken belief',
  'fence',
  'unfinished list lost or old',
  'replay that was asked for',
  'save by a fenced owner',
  'assumption broken by version',
  'assumption broken by merge',
  'assumption broken by creation',
  'assumption broken by identification',
  'opposite merges',
  'merge across owners with unsaved work on both sides',
  'redo that is itself interrupted',
  'partitions dealt anew',
  'frozen process',
  'process cut off from its group',
  'serialization failure',
  'deadlock',
  'failover that lost a save',
] as const;
type Meeting = (typeof MEETINGS)[number];

const MEETINGS_MIN = 100;
const PER_HISTORIES = 10_000;
/** Of fewer histories nothing is asked. */
const HISTORIES_MIN = 2_000;

export function add(counts: Counts, name: string, by: number): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}

export function count(counts: Counts, ran: Ran, { followed, outputs }: Verdict): void {
  const { store } = ran.world;
  const meet = (name: Meeting, by: number) => add(counts, name, by);
  for (const [moment, times] of ran.watch.counts(followed.folded)) add(counts, moment, times);
  meet('merge with unsaved work on both sides', mergesOfUnsaved(ran, followed.folded));
  meet('broken belief', store.broken);
  meet('fence', store.fenced);
  meet('unfinished list lost or old', ran.spoilt);
  meet('replay that was asked for', ran.replays);
  for (const { fates } of store.progress()) meet('duplicate uuid', fates['drop:duplicate'] ?? 0);
  for (const { meeting } of followed.folded.values()) {
    if (meeting === 'refused') meet('refused merge', 1);
    add(counts, `folded: ${meeting}`, 1);
  }
  add(counts, 'histories', 1);
  add(counts, 'records', ran.records.length);
  add(counts, 'restarts', ran.restarts);
  add(counts, 'rows', outputs.rows.length);
  add(counts, 'rows sent again', outputs.rows.length - new Set(outputs.rows.map(sourceOfRow)).size);
  add(counts, 'merges too large', outputs.deadLetters.filter(isTooLarge).length);
  add(counts, 'persons', store.persons.size);
  add(counts, 'groups', store.groups.size);
}

const sourceOfRow = ({ source }: { readonly source: string }): string => source;

/** Merges in whose save events of both persons had waited before. */
function mergesOfUnsaved({ world }: Ran, folded: ReadonlyMap<string, FoldedRecord>): number {
  let merges = 0;
  for (const { offsets } of world.store.witness) {
    const idsBefore = new Set<string>();
    for (const offset of offsets) {
      const one = folded.get(sourceOf(offset));
      if (one === undefined) continue;
      const { event } = one.record;
      const other = otherIdOf(event);
      const isOfBoth = idsBefore.has(event.distinctId) && other !== undefined && idsBefore.has(other);
      if (one.meeting === 'merged' && isOfBoth) merges += 1;
      idsBefore.add(event.distinctId);
    }
  }
  return merges;
}

/** What the worker itself counts. */
const COUNTED: readonly (readonly [Meeting, RegExp])[] = [
  ['held event released by identify', /^tributary_worker_released_total\{reason="person"\}/],
  ['held event released by time', /^tributary_worker_released_total\{reason="time"\}/],
  ['held event released by memory', /^tributary_worker_released_total\{reason="memory"\}/],
  ['full mailbox', /^tributary_worker_pauses_total\{reason="person"\}/],
  ['paused partition', /^tributary_worker_pauses_total/],
];

export async function workerCounts(metrics: Metrics): Promise<Counts> {
  const counts: Counts = new Map();
  for (const line of (await metrics.text()).split('\n')) {
    const value = Number(line.slice(line.lastIndexOf(' ') + 1));
    for (const [name, pattern] of COUNTED) if (pattern.test(line)) add(counts, name, value);
  }
  return counts;
}

/** A line for each meeting that was too rare. */
export function tooRare(counts: ReadonlyMap<string, number>): readonly string[] {
  const histories = counts.get('histories') ?? 0;
  if (histories < HISTORIES_MIN) return [];
  const least = Math.floor((MEETINGS_MIN * histories) / PER_HISTORIES);
  return MEETINGS.filter((name) => (counts.get(name) ?? 0) < least).map(
    (name) => `only ${counts.get(name) ?? 0} × ${name}, at least ${least} are asked for`,
  );
}

/** All counts, meetings first. */
export function countTable(counts: ReadonlyMap<string, number>): readonly string[] {
  const meetings: readonly string[] = MEETINGS;
  const others = [...counts.keys()].filter((name) => !meetings.includes(name)).toSorted();
  return [...meetings, ...others].map((name) => `${String(counts.get(name) ?? 0).padStart(10)}  ${name}`);
}
