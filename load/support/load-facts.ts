/** What the tables say about a run besides the books: how long events waited for their row, and who they are about. */
import type { LoadRun } from './answers.ts';
import { ofRun } from './fates.ts';
import type { Observed } from './proof.ts';
import { SLOW_STEP } from './slow-clients.ts';

export interface Waits {
  readonly step: number;
  /** What the script sends in this step. */
  readonly event: string;
  readonly rows: number;
  /** From the arrival at the door until ClickHouse had the row. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** By script and step. */
const STEPS: Readonly<Record<string, readonly string[]>> = {
  steady: ['events'],
  signup: ['$pageview', 'signed up', '$identify'],
  browser: ['$pageview', '$identify', 'clicks', '$pageleave'],
  'bad-traffic': ['good ones', 'refused', 'given up'],
};

export async function waits(system: Observed, run: LoadRun): Promise<readonly Waits[]> {
  const rows = await system.query(`
    SELECT step, count() AS rows, quantilesExact(0.5, 0.99)(ms) AS some, max(ms) AS most
    FROM (${ofRun(run.id, 'events FINAL', 'uuid', ", dateDiff('millisecond', timestamp, inserted_at) AS ms")})
    GROUP BY step ORDER BY step`);
  return rows.map((row) => {
    const [p50Ms, p99Ms] = Array.isArray(row['some']) ? row['some'].map(Number) : [];
    const step = Number(row['step']);
    const event = STEPS[run.script]?.[step] ?? (step === SLOW_STEP ? 'slow clients' : `step ${step}`);
    return {
      step,
      event,
      rows: Number(row['rows']),
      p50Ms: p50Ms ?? 0,
      p99Ms: p99Ms ?? 0,
      maxMs: Number(row['most']),
    };
  });
}

export interface SignupPersons {
  readonly signups: number;
  readonly persons: number;
  /** More than one for each sign-up; where an `$identify` was not taken, the user is a person of its own. */
  readonly extra: number;
  /** Sign-ups with rows of several persons: what had to be merged. */
  readonly split: number;
}

export async function signupPersons(system: Observed, run: LoadRun): Promise<SignupPersons> {
  const [counts] = await system.query(`
    SELECT count() AS signups, countIf(has(steps, 1) AND NOT has(steps, 2)) AS unknown,
      countIf(persons > 1 AND has(steps, 2)) AS split
    FROM (
      SELECT number, groupUniqArray(step) AS steps, uniqExact(person_id) AS persons
      FROM (${ofRun(run.id, 'events FINAL', 'uuid', ', person_id')}) GROUP BY number
    )`);
  const [found] = await system.query(
    `SELECT count(DISTINCT person_id)::int AS persons FROM posthog_persondistinctid
     WHERE distinct_id LIKE 'load-${run.id}-%'`,
    'postgres',
  );
  const signups = Number(counts?.['signups']);
  const persons = Number(found?.['persons']);
  const extra = persons - signups - Number(counts?.['unknown']);
  return { signups, persons, extra, split: Number(counts?.['split']) };
}

/** What must hold of them. */
export function personProblems({ extra, split }: SignupPersons): string[] {
  return [
    ...(extra === 0 ? [] : [`there are ${extra} persons more than people who signed up`]),
    ...(split === 0 ? [] : [`${split} sign-ups have rows of several persons`]),
  ];
}
