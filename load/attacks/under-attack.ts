/** Runs one attack on a system while a client that behaves well goes on, and judges what became of both. */
import { type ChildProcess, fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep, systemClock } from '../../src/clock.ts';
import { DEV_PROJECT } from '../../src/storage/postgres/projects.ts';
import { booksProblems, problem, settle } from '../support/proof.ts';
import type { System } from '../support/system.ts';
import { type Attack, problemsOf } from './attack.ts';
import type { AttackReport } from './attacker.ts';
import type { GoodReport } from './good-client.ts';

/** Of the whole process: PostgreSQL has others. */
export const RSS_MIB_MAX = 1_024;
export const P99_MS_MAX = 250;
/** Requests of the good client that may be refused or lost: none of them is an event that was acknowledged. */
const OTHERS_SHARE_MAX = 0.01;
const RATE = 50;
/** The first requests make connections, and compile what they need. */
const BEFORE_MS = 2_000;
const SAMPLE_EVERY_MS = 50;
/** How long an attack may go on after its time. */
const LATE_MS_MAX = 120_000;

export interface UnderAttack {
  readonly attack: string;
  readonly seconds: number;
  readonly good: {
    readonly sent: number;
    readonly acknowledged: number;
    readonly others: GoodReport['others'];
  };
  /** Of the good client's answers with 200, in milliseconds. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Of the process, before and at most meanwhile, in MiB; 0 where there is no /proc. */
  readonly rss: { readonly before: number; readonly most: number };
  /** What the attacker got, with counts. */
  readonly seen: AttackReport['seen'];
  /** What the door said of it: refusals and ended connections, by reason. */
  readonly door: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
}

export interface Options {
  readonly seconds: number;
  /** Latency by the clock, and what only a long enough attack shows. */
  readonly isJudgedFully: boolean;
}

/** Rejects, with the end of its log, when the process does not live through it. */
export async function underAttack(system: System, attack: Attack, options: Options): Promise<UnderAttack> {
  const seconds = options.isJudgedFully ? Math.max(options.seconds, attack.secondsMin ?? 0) : options.seconds;
  const { pid } = system;
  const doorBefore = await doorOf(system);
  const rss = await watchRss(pid);
  const good = start<GoodReport>('good-client.ts', [system.captureUrl, String(RATE)]);
  if (options.isJudgedFully) await sleep(systemClock, BEFORE_MS);
  good.child.send('measure');
  const port = new URL(system.captureUrl).port;
  const attacker = start<AttackReport>('attacker.ts', [
    attack.name,
    port,
    DEV_PROJECT.token,
    String(seconds * 1_000),
  ]);
  const cancel = systemClock.after(seconds * 1_000 + LATE_MS_MAX, () => attacker.child.kill('SIGKILL'));
  const attacked = await attacker.report;
  cancel();
  good.child.send('stop');
  const behaved = await good.report;
  const most = await rss.stop();
  if (system.hasEnded) throw new Error(`${attack.name} has ended the process:\n${await system.log()}`);
  const latency = latencyOf(behaved.latencies);
  const door = difference(await doorOf(system), doorBefore);
  const others = Object.values(behaved.others).reduce((sum, count) => sum + count, 0);
  const acknowledged = [...behaved.acknowledged, ...attacked.acknowledged];
  const problems = [
    ...(system.pid === pid ? [] : ['the process is another one']),
    ...(most > RSS_MIB_MAX ? [`${most} MiB resident, more than ${RSS_MIB_MAX}`] : []),
    ...(behaved.acknowledged.length === 0 ? ['nobody was answered 200 meanwhile'] : []),
    ...(!attack.refusesOthers && others > behaved.sent * OTHERS_SHARE_MAX
      ? [`${others} good requests without a 200: ${JSON.stringify(behaved.others)}`]
      : []),
    ...(options.isJudgedFully && latency.p99 > P99_MS_MAX
      ? [`p99 of ${latency.p99} ms, more than ${P99_MS_MAX}`]
      : []),
    ...problemsOf(attack, attacked.seen, seconds),
    ...(await booksProblemsOf(system, acknowledged)),
  ];
  return {
    attack: attack.name,
    seconds,
    good: { sent: behaved.sent, acknowledged: behaved.acknowledged.length, others: behaved.others },
    latency,
    rss: { before: rss.before, most },
    seen: attacked.seen,
    door,
    problems,
  };
}

async function booksProblemsOf(system: System, acknowledged: readonly string[]): Promise<string[]> {
  const books = await settle(system);
  const [row] = await system.query('SELECT uniqExact(uuid) AS uuids FROM events');
  const rows = new Set<string>();
  for (let from = 0; from < acknowledged.length; from += 1_000) {
    const list = acknowledged.slice(from, from + 1_000).map((uuid) => `'${uuid}'`);
    const found = await system.query(`SELECT DISTINCT uuid FROM events WHERE uuid IN (${list.join(',')})`);
    for (const { uuid } of found) rows.add(String(uuid));
  }
  const lost = acknowledged.filter((uuid) => !rows.has(uuid));
  return [
    ...booksProblems(books, Number(row?.['uuids'])),
    ...problem(lost, 'events were answered 200 and have no row'),
  ];
}

/** Refusals and ended connections, by reason. */
async function doorOf(system: System): Promise<Record<string, number>> {
  const response = await fetch(`${system.consoleUrl}/_metrics`);
  const counts = (await response.text()).matchAll(
    /^tributary_capture_(refused|cut)_total\{reason="(\w+)"\} (\d+)$/gm,
  );
  return Object.fromEntries(
    [...counts].map(([, kind, reason = '', count]) => [
      kind === 'cut' ? `cut: ${reason}` : reason,
      Number(count),
    ]),
  );
}

function difference(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  const entries = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)] as const);
  return Object.fromEntries(entries.filter(([, count]) => count > 0));
}

function latencyOf(latencies: readonly number[]): UnderAttack['latency'] {
  const sorted = [...latencies].sort((a, b) => a - b);
  const at = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

interface Started<Report> {
  readonly child: ChildProcess;
  /** Rejects when it ends without one. */
  readonly report: Promise<Report>;
}

function start<Report>(program: string, args: readonly string[]): Started<Report> {
  const child = fork(join(import.meta.dirname, program), [...args], { execArgv: ['--import', 'tsx'] });
  const report = new Promise<Report>((resolve, reject) => {
    let told: Report | undefined;
    child.on('message', (message) => {
      told = message as Report;
    });
    child.on('exit', (code, signal) => {
      if (told === undefined) reject(new Error(`${program} ${args[0]} ended with ${signal ?? code}`));
      else resolve(told);
    });
  });
  return { child, report };
}

async function watchRss(pid: number | undefined): Promise<{ before: number; stop(): Promise<number> }> {
  const read = async (): Promise<number> => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024);
  };
  const before = await read();
  let most = before;
  let isStopped = false;
  const watching = (async () => {
    while (!isStopped) {
      most = Math.max(most, await read());
      await sleep(systemClock, SAMPLE_EVERY_MS);
    }
  })();
  return {
    before,
    async stop() {
      isStopped = true;
      await watching;
      return most;
    },
  };
}
