/**
 * Two doors of their own for what no input brings about: one before a log that is full, and one whose log is away until its
 * spool is full, and then comes back and refuses some records for their own sake, as Kafka does.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Books } from '../../src/books.ts';
import type { Appender } from '../../src/capture/append.ts';
import { type Capture, startCapture } from '../../src/capture/server.ts';
import { openSpool } from '../../src/capture/spool/open.ts';
import { sleep, systemClock } from '../../src/clock.ts';
import { asTeamId, asToken } from '../../src/event/ids.ts';
import type { RefusalReason } from '../../src/event/outcome.ts';
import { UNRESTRICTED } from '../../src/event/restriction.ts';
import { newEventUuid } from '../../src/ids.ts';
import { Metrics } from '../../src/metrics.ts';
import { openEmbeddedLog } from '../../src/storage/embedded/log.ts';
import { type AppendRecord, LogUnavailableError } from '../../src/storage/event-log.ts';
import { DEV_PROJECT } from '../../src/storage/postgres/projects.ts';
import type { Team } from '../../src/storage/team-store.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import type { Finding } from './accounts.ts';
import { judgeAnswers } from './judge.ts';
import { makeInput } from './make.ts';
import { WireClient } from './wire.ts';

export interface Conditions {
  /** Of both doors. */
  readonly doors: readonly Books['door'][];
  readonly findings: readonly Finding[];
}

const LOG_BYTES_MAX = 1024 * 1024;
const SPOOL_BYTES_MAX = 1024 * 1024;
/** A record of more is one that the log behind the spool refuses. */
const RECORD_BYTES_MAX = 4_000;
const INPUTS_MAX = 20_000;
/** The first ones are for reasons, and large. */
const FIRST_INPUT = 1_000;
const DRAIN_TIMEOUT_MS = 120_000;
const POLL_MS = 20;

export async function bringAbout(seed: number): Promise<Conditions> {
  const dir = await mkdtemp(join(tmpdir(), 'tributary-fuzz-'));
  try {
    const full = await fullLog(join(dir, 'log'), seed);
    const away = await awayLog(join(dir, 'spool'), seed);
    return {
      doors: [full.door, away.door],
      findings: [...full.findings, ...away.findings],
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

interface Seen {
  readonly door: Books['door'];
  readonly findings: readonly Finding[];
}

async function fullLog(dir: string, seed: number): Promise<Seen> {
  const log = await openEmbeddedLog({
    dir,
    partitions: 1,
    clock: systemClock,
    logger: quietLogger,
    limits: { bytesMax: LOG_BYTES_MAX },
  });
  const capture = await openDoor(log);
  try {
    const { events, findings } = await sendUntil(capture, 'log_full', seed);
    const [partition] = await log.offsets(INGESTION_TOPIC);
    const taken = partition?.end ?? 0;
    const problem = `${events} events were answered 200, and a log that was full has ${taken}`;
    return {
      door: capture.door(),
      findings: taken < events ? [...findings, { problem, input: undefined }] : findings,
    };
  } finally {
    await capture.close();
    await log.close();
  }
}

async function awayLog(dir: string, seed: number): Promise<Seen> {
  const behind = new LogBehind();
  const spool = await openSpool({
    dir,
    bytesMax: SPOOL_BYTES_MAX,
    log: behind,
    record: async () => {},
    clock: systemClock,
    metrics: new Metrics(),
    logger: quietLogger,
  });
  const capture = await openDoor(spool.log);
  try {
    const { uuids, findings } = await sendUntil(capture, 'log_unavailable', seed);
    behind.isAway = false;
    const deadline = systemClock.monotonic() + DRAIN_TIMEOUT_MS;
    while (spool.log.mode !== 'direct' && systemClock.monotonic() < deadline)
      await sleep(systemClock, POLL_MS);
    const text = behind.records.map(({ value }) => Buffer.from(value).toString()).join('\n');
    const lost = uuids.filter((uuid) => !text.includes(uuid));
    const problem = `${lost.length} events were answered 200, and did not come out of the spool: ${lost.slice(0, 3).join(', ')}`;
    return {
      door: { ...capture.door(), dead_lettered: spool.deadLettered() },
      findings: lost.length === 0 ? findings : [...findings, { problem, input: undefined }],
    };
  } finally {
    await capture.close();
    await spool.close();
  }
}

/** Stands for Kafka: away, and then too small for some records. */
class LogBehind implements Appender {
  readonly records: AppendRecord[] = [];
  isAway = true;

  async append(records: readonly AppendRecord[]): Promise<readonly never[]> {
    if (this.isAway) throw new LogUnavailableError('The log is away.');
    const isRefused = ({ topic, value }: AppendRecord): boolean =>
      topic === INGESTION_TOPIC && value.length > RECORD_BYTES_MAX;
    if (records.some(isRefused)) throw new RangeError('The log refuses a record.');
    this.records.push(...records);
    return [];
  }
}

const TEAM: Team = {
  id: asTeamId(DEV_PROJECT.id),
  token: asToken(DEV_PROJECT.token),
  name: DEV_PROJECT.name,
  anonymizeIps: false,
  personProcessingOptOut: false,
  restrictions: UNRESTRICTED,
};

function openDoor(log: Appender): Promise<Capture> {
  const teamOf = (token: string): Team | undefined => (token === TEAM.token ? TEAM : undefined);
  return startCapture({
    host: '127.0.0.1',
    port: 0,
    log,
    teams: { byToken: async (token) => teamOf(token), cached: teamOf },
    clock: systemClock,
    newUuid: newEventUuid,
    trustedProxies: ['127.0.0.0/8'],
    metrics: new Metrics(),
    logger: quietLogger,
  });
}

interface Sent {
  /** Events that were answered 200, and the uuids of those that had one. */
  readonly events: number;
  readonly uuids: readonly string[];
  readonly findings: readonly Finding[];
}

/** Well-formed inputs, one after the other. */
async function sendUntil(capture: Capture, reason: RefusalReason, seed: number): Promise<Sent> {
  const client = new WireClient(capture.port);
  const uuids: string[] = [];
  const findings: Finding[] = [];
  let events = 0;
  try {
    for (let number = FIRST_INPUT; number < FIRST_INPUT + INPUTS_MAX; number++) {
      if ((capture.door().refused[reason] ?? 0) > 0) break;
      const input = makeInput(seed, number);
      if (!input.mustAnswer) continue;
      const judged = judgeAnswers(input, await client.send(input));
      findings.push(...judged.problems.map((problem) => ({ problem, input: number })));
      uuids.push(...judged.durable.map(({ uuid }) => uuid));
      events += judged.durableEvents;
    }
    return { events, uuids, findings };
  } finally {
    client.close();
  }
}
