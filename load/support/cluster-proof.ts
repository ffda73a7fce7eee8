/** What must hold of a cluster once everything has settled: no event lost, folded twice, or out of its order. */
import type { Books } from '../../src/books.ts';
import { sleep, systemClock } from '../../src/clock.ts';
import type { Cluster } from './cluster.ts';
import type { LogWatch, SeenRecord, SeenRow } from './log-watch.ts';
import { countRows, personProblems, problem, rowProblems, versionSums } from './proof.ts';
import { type SeqClient, seqKey } from './seq-client.ts';

export interface ClusterProof {
  readonly books: Books;
  /** Records whose uuid an earlier record has: SDKs' retries. */
  readonly uuidsAgain: number;
  /** Rows that were produced once more for their record. */
  readonly rowsAgain: number;
  /** Records that count as lost, although their row is there. */
  readonly lostWithRow: number;
  /** Records of which the row that stays was sent again, and shows a later moment of its person. */
  readonly rowsLater: number;
  readonly problems: readonly string[];
}

/** Who reads along. */
export interface Along {
  readonly records: { readonly size: number };
  readonly rows: readonly { readonly uuid: string }[];
  /** Whether it has read everything that the log has. */
  hasAll(): Promise<boolean>;
}

const SETTLE_MS = 180_000;
const POLL_MS = 300;
/** Looks in a row at which nothing may be on its way. */
const QUIET_LOOKS = 3;
/** Records that were folded more than once, whoever did it. */
const FOLDED_TWICE = `
  SELECT log_id, partition, folded, count(*)::int AS times
  FROM tributary_witness AS w, unnest(w.partitions, w.offsets) AS f (partition, folded)
  GROUP BY 1, 2, 3 HAVING count(*) > 1 LIMIT 20`;
const PERSON_SEQS = `
  SELECT d.distinct_id, p.properties FROM posthog_persondistinctid d JOIN posthog_person p ON p.id = d.person_id`;

/** `isLost`: whether the record left the log before progress said that it had its row. */
export async function proveCluster(
  cluster: Cluster,
  clients: readonly SeqClient[],
  watch: LogWatch,
  isLost: (record: SeenRecord) => boolean = () => false,
): Promise<ClusterProof> {
  const books = await settleCluster(cluster, watch);
  const sent = new Set(clients.flatMap((client) => [...client.sent]));
  const acknowledged = new Set(clients.flatMap((client) => [...client.acknowledged]));
  const records = [...watch.records.values()].sort(
    (a, b) => a.partition - b.partition || a.offset - b.offset,
  );
  const withRow = new Set(watch.rows.map(({ source }) => source));
  const lost = records.filter(isLost);
  const kept = records.filter((record) => !isLost(record));
  for (const { uuid } of lost) acknowledged.delete(uuid);
  const keptIds = idsOf(kept);
  const lostIds = new Set([...idsOf(lost)].filter((id) => !keptIds.has(id)));
  const ids = { sent: idsOf(records), acknowledged: keptIds, lost: lostIds };
  const moments = momentsOf(watch);
  return {
    books,
    uuidsAgain: records.length - new Set(records.map(({ uuid }) => uuid)).size,
    rowsAgain: watch.rows.length - new Set(watch.rows.map(({ source }) => source)).size,
    rowsLater: moments.later,
    lostWithRow: lost.filter((record) => withRow.has(sourceOf(record))).length,
    problems: [
      ...booksProblems(books, records.length, lost.length),
      ...(await rowProblems(cluster.loader, { sent, acknowledged })),
      ...(await personProblems(cluster.loader, ids)),
      ...orderProblems(records),
      ...moments.problems,
      ...(await personSeqProblems(cluster, kept, lost)),
      ...(await foldedTwice(cluster)),
      ...problem(
        clients.flatMap(({ refusals }) => refusals),
        'answers are neither 200 nor 503 with Retry-After',
      ),
      ...(watch.stopped === undefined ? [] : [`the watch of the log has stopped: ${watch.stopped}`]),
    ],
  };
}

/** The books when nothing has been on its way for a while, and ClickHouse has what was produced. */
export async function settleCluster(
  cluster: Cluster,
  watch: Along,
  settleMs: number = SETTLE_MS,
): Promise<Books> {
  const deadline = systemClock.monotonic() + settleMs;
  let state: unknown;
  for (let looks = 0; looks < QUIET_LOOKS; ) {
    // Some part may still be on its way back.
    const isQuiet = await look(cluster, watch).catch((error: unknown) => ({ error: String(error) }));
    state = isQuiet;
    looks = isQuiet === true ? looks + 1 : 0;
    if (looks === 0 && systemClock.monotonic() > deadline) {
      throw new Error(`not settled after ${settleMs} ms: ${JSON.stringify(state)}`);
    }
    await sleep(systemClock, POLL_MS);
  }
  return cluster.loader.books();
}

/** True, or what is still missing. */
async function look(cluster: Cluster, watch: Along): Promise<object | true> {
  const books = await cluster.loader.books();
  if (books.waiting + books.in_flight + books.held !== 0) return books;
  if (!(await watch.hasAll())) return { records: watch.records.size, rows: watch.rows.length, books };
  const { uuids } = await countRows(cluster.loader);
  const produced = new Set(watch.rows.map(({ uuid }) => uuid)).size;
  const versions = await versionSums(cluster.loader);
  return uuids === produced && versions[0] === versions[1] ? true : { uuids, produced, versions };
}

/** Records without a row: repeats of a uuid that the same owner recognised, and `lost` ones that left the log. */
function booksProblems(books: Books, records: number, lost: number): string[] {
  const { duplicate = 0, ...otherDrops } = books.dropped;
  const { lost_by_retention = 0, ...otherLetters } = books.dead_lettered;
  const problems: string[] = [];
  if (books.imbalance !== 0) problems.push(`the books have an imbalance of ${books.imbalance}`);
  if (books.acknowledged !== records) {
    problems.push(`the books have ${books.acknowledged} records, the log had ${records}`);
  }
  if (books.rows + duplicate + lost_by_retention !== books.acknowledged) {
    problems.push(
      `of ${books.acknowledged} records ${books.rows} are rows, ${duplicate} duplicates and ${lost_by_retention} lost`,
    );
  }
  if (lost_by_retention !== lost)
    problems.push(`the books have ${lost_by_retention} lost records, and not ${lost}`);
  for (const fates of [otherDrops, otherLetters]) {
    if (Object.keys(fates).length > 0) problems.push(`fates that nobody expects: ${JSON.stringify(fates)}`);
  }
  return problems;
}

const idsOf = (records: readonly SeenRecord[]): ReadonlySet<string> =>
  new Set(records.map(({ distinctId }) => distinctId));

const sourceOf = ({ partition, offset }: SeenRecord): string => `${partition}:${offset}`;

/** Of each id, the log has the events in the order in which they were sent; the first record of a uuid counts. */
function orderProblems(records: readonly SeenRecord[]): string[] {
  const newest = new Map<string, number>();
  const uuids = new Set<string>();
  const wrong: string[] = [];
  for (const { uuid, distinctId, seq } of records) {
    if (uuids.has(uuid)) continue;
    uuids.add(uuid);
    const before = newest.get(distinctId) ?? 0;
    if (seq !== before + 1) wrong.push(`${distinctId}: ${seq} after ${before}`);
    newest.set(distinctId, seq);
  }
  return problem(wrong, 'events are not in the order of their distinct id in the log');
}

/**
 * Every row shows its person as of its own event. One that may be a repeat (its time is a second before that of its
 * record) may show a later moment; `later` counts those that are the row which ClickHouse keeps of their record.
 */
function momentsOf({ rows, records }: LogWatch): {
  readonly later: number;
  readonly problems: readonly string[];
} {
  const unknown: string[] = [];
  const wrong: string[] = [];
  const kept = new Map<string, SeenRow>();
  for (const row of rows) {
    const { uuid, distinctId, source, seq, personSeq, timestampMs } = row;
    const record = records.get(source);
    const isRepeat = record !== undefined && timestampMs < record.recordedAtMs;
    if (record?.uuid !== uuid || record.seq !== seq) unknown.push(`${uuid} of ${source}`);
    else if (personSeq !== seq && !(isRepeat && isLater(row)))
      wrong.push(`${distinctId} at ${source}: ${personSeq} on the row of ${seq}`);
    // The newest one, and of equal ones the last.
    if (timestampMs >= (kept.get(source)?.timestampMs ?? 0)) kept.set(source, row);
  }
  return {
    later: [...kept.values()].filter(isLater).length,
    problems: [
      ...problem(unknown, 'rows are not those of their records'),
      ...problem(wrong, 'rows show their person at another moment than their own'),
    ],
  };
}

const isLater = ({ seq, personSeq }: SeenRow): boolean => personSeq !== undefined && personSeq > seq;

/** In the end every person has what the last event of each of its ids has set; a later one that is lost may have, too. */
async function personSeqProblems(
  cluster: Cluster,
  kept: readonly SeenRecord[],
  lost: readonly SeenRecord[],
): Promise<string[]> {
  const last = new Map(kept.map(({ distinctId, seq }) => [distinctId, seq]));
  const isOfLost = (id: string, seq: unknown): boolean =>
    lost.some((one) => one.distinctId === id && one.seq === seq);
  const { rows } = await cluster.postgres.query<{ distinct_id: string; properties: Record<string, unknown> }>(
    PERSON_SEQS,
  );
  const found = new Map(
    rows.map(({ distinct_id, properties }) => [distinct_id, properties[seqKey(distinct_id)]]),
  );
  const wrong = [...last].filter(([id, seq]) => {
    const set = found.get(id);
    return set !== seq && !(Number(set) > seq && isOfLost(id, set));
  });
  return problem(
    wrong.map(([id, seq]) => `${id}: ${found.get(id)}, and not ${seq}`),
    'persons do not have what the last event of their id has set',
  );
}

async function foldedTwice({ postgres }: Cluster): Promise<string[]> {
  const { rows } = await postgres.query<{ partition: number; folded: number; times: number }>(FOLDED_TWICE);
  return problem(
    rows.map(({ partition, folded, times }) => `${partition}:${folded} ${times} times`),
    'records were folded more than once',
  );
}
