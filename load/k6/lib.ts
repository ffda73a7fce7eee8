/**
 * What the scripts share. All of `load/k6/` runs inside k6, not in Node.
 *
 * What a script tells its reader goes line by line to `--console-output`:
 *
 *     run 1a2b3c4d5e6f              begins the uuids of this run
 *     script steady
 *     books {…}                     before the run; only with CONSOLE
 *     200 0 1234 20                 an answer: its status (0: none), the step, the number, how many events
 */
import execution from 'k6/execution';
import http from 'k6/http';
import { Rate, Trend } from 'k6/metrics';
import type { Options } from 'k6/options';

declare const __ENV: Readonly<Record<string, string | undefined>>;

/** What `setup` gives to every iteration. */
export interface Run {
  /** 12 hex digits. */
  readonly id: string;
}

/** One request with events, and where its uuids come from. */
export interface EventRequest {
  readonly run: Run;
  /** Which request of the iteration; less than 4096. */
  readonly step: number;
  readonly path: string;
  readonly events: readonly { readonly uuid: string }[];
  readonly body: string | ArrayBuffer;
  /** By default `content-type: application/json`. */
  readonly headers?: Record<string, string>;
  /** The client goes away then. */
  readonly timeoutMs?: number;
  /** What comes of it is not measured: it is meant to fail. */
  readonly isBad?: boolean;
}

const TIMEOUT_MS = 60_000;
/** As many as their places in a uuid can count. */
const BATCH_MAX = 4096;

const text = (name: string, byDefault: string): string => __ENV[name] || byDefault;

function positive(name: string, byDefault: number, max = 1_000_000): number {
  const value = Number(text(name, String(byDefault)));
  if (Number.isInteger(value) && value > 0 && value <= max) return value;
  throw new Error(`${name} is "${__ENV[name]}": it takes a whole number from 1 to ${max}`);
}

export const HOST = text('HOST', 'http://127.0.0.1:8000').replace(/\/+$/, '');
export const TOKEN = text('TOKEN', 'phc_tributary_dev');
export const RATE = positive('RATE', 50);
export const PERSONS = positive('PERSONS', 200);
export const BATCH = positive('BATCH', 1, BATCH_MAX);
export const SHARE_BAD = positive('BAD_PERCENT', 30, 100) / 100;
export const DURATION = text('DURATION', '15s');
const P99_MS = positive('P99_MS', 500);

const answeredMs = new Trend('answered_ms', true);
const notTaken = new Rate('not_taken');

/** `secondsEach`: how long an iteration takes, about; so many k6 users are needed. */
export function loadOptions(secondsEach: number): Options {
  const users = Math.ceil(RATE * secondsEach) + 10;
  return {
    scenarios: {
      load: {
        executor: 'constant-arrival-rate',
        rate: RATE,
        timeUnit: '1s',
        duration: DURATION,
        preAllocatedVUs: users,
        maxVUs: users * 4,
      },
    },
    thresholds: {
      answered_ms: [`p(99)<${P99_MS}`],
      not_taken: ['rate<0.01'],
      // What k6 could not begin, because all its users were waiting.
      dropped_iterations: [`rate<${RATE / 100}`],
    },
    summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
    setupTimeout: '30s',
  };
}

/** For `setup`. `RUN` names the run; where several machines share one, it has to be the same on all. */
export function begin(script: string): Run {
  const random = Array.from({ length: 12 }, () => Math.floor(Math.random() * 16).toString(16)).join('');
  const id = text('RUN', random);
  if (!/^[0-9a-f]{12}$/.test(id)) throw new Error(`RUN is "${id}": it takes 12 hex digits`);
  console.log(`run ${id}`);
  console.log(`script ${script}`);
  const at = __ENV['CONSOLE'];
  if (at) {
    const books = http.get(`${at.replace(/\/+$/, '')}/_ledger`);
    if (books.status !== 200)
      throw new Error(
        `the console at ${at} ${books.status === 0 ? 'does not answer' : `answered ${books.status}`}`,
      );
    console.log(`books ${String(books.body).trim()}`);
  }
  return { id };
}

/** Of this iteration: from 0, on all k6 users and machines of the run together. */
export const iteration = (): number => execution.scenario.iterationInTest;

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** A UUID of version 8, which says whose it is: the run, the event's place in its request, the step, the iteration. */
export function eventUuid(run: Run, step: number, index: number): string {
  const { id } = run;
  return `${id.slice(0, 8)}-${id.slice(8)}-8${hex(index, 3)}-8${hex(step, 3)}-${hex(iteration(), 12)}`;
}

/** Posts, writes the answer down, and gives its status; 0: there was none. */
export function post(request: EventRequest): number {
  const { step, path, events, body, headers = {}, timeoutMs = TIMEOUT_MS, isBad = false } = request;
  const response = http.post(`${HOST}${path}`, body, {
    headers: { 'content-type': 'application/json', ...headers },
    timeout: timeoutMs,
  });
  const { status } = response;
  console.log(`${status} ${step} ${iteration()} ${events.length}`);
  if (!isBad) {
    notTaken.add(status !== 200);
    if (status === 200) answeredMs.add(response.timings.duration);
  }
  return status;
}

/** For `handleSummary`: into the file that `SUMMARY` names, else a few lines for people. */
export function summarize(data: Summary): Record<string, string> {
  const file = __ENV['SUMMARY'];
  if (file) return { [file]: JSON.stringify({ ...data, at: Date.now() }) };
  const { values } = data.metrics['answered_ms'] ?? {};
  const iterations = data.metrics['iterations']?.values?.['count'] ?? 0;
  const ms = ['med', 'p(95)', 'p(99)', 'max'].map((name) => `${name} ${(values?.[name] ?? 0).toFixed(1)} ms`);
  const failed = Object.entries(data.metrics).flatMap(([name, { thresholds = {} }]) =>
    Object.entries(thresholds).flatMap(([threshold, { ok }]) =>
      ok ? [] : [`FAILED  ${name} ${threshold}\n`],
    ),
  );
  return { stdout: `${iterations} iterations, answered 200 after ${ms.join(', ')}\n${failed.join('')}` };
}

/** What k6 gives to `handleSummary`, as far as it is used. */
export interface Summary {
  readonly state: { readonly testRunDurationMs: number };
  readonly metrics: Readonly<
    Record<
      string,
      {
        readonly values?: Readonly<Record<string, number>>;
        readonly thresholds?: Readonly<Record<string, { readonly ok: boolean }>>;
      }
    >
  >;
}
