/** Kafka goes away under load, capture is killed, both come back: what was acknowledged must be there, in order. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Test } from 'tap';
import type { Books } from '../../src/books.ts';
import { startEmbeddedPostgres } from '../../src/storage/embedded/postgres-server.ts';
import { readBooks } from '../../src/storage/postgres/books.ts';
import { openPostgres } from '../../src/storage/postgres/pool.ts';
import { INGESTION_TOPIC } from '../../src/storage/topics.ts';
import { startKafka } from '../../tools/kafka/broker.ts';
import { newRunFolder, removeFolder } from '../../tools/kafka/folder.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { Reader } from '../support/event-log.ts';
import { openLogOn } from '../support/kafka-log.ts';
import { type RunningSystem, startSystemProcess } from '../support/program.ts';
import { until } from '../system/harness.ts';

const TOKEN = 'phc_tributary_dev';
const CLIENTS = 16;

export interface Outage {
  readonly events: number;
  readonly eventsPerRequest: number;
}

/** Sends the events of one distinct id one request after another; what got no answer is sent again, with its uuids. */
class Client {
  readonly id: string;
  readonly acknowledged: string[] = [];
  refusals = 0;

  constructor(id: string) {
    this.id = id;
  }

  async send(to: () => string, events: number, eventsPerRequest: number): Promise<void> {
    const end = this.acknowledged.length + events;
    while (this.acknowledged.length < end) {
      const count = Math.min(eventsPerRequest, end - this.acknowledged.length);
      const uuids = Array.from({ length: count }, (_, index) => this.#uuid(this.acknowledged.length + index));
      const batch = uuids.map((uuid) => ({ event: 'step', distinct_id: this.id, uuid, properties: {} }));
      const body = JSON.stringify({ api_key: TOKEN, batch });
      const status = await fetch(`${to()}/batch`, { method: 'POST', body }).then(
        (response) => response.arrayBuffer().then(() => response.status),
        () => 0,
      );
      if (status === 200) this.acknowledged.push(...uuids);
      else {
        if (status !== 0) this.refusals++;
        await pause(50);
      }
    }
  }

  #uuid(number: number): string {
    return `018f0000-0000-7000-8${this.id.slice(-3)}-${String(number).padStart(12, '0')}`;
  }
}

export async function provesSpool(t: Test, { events, eventsPerRequest }: Outage): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'tributary-spool-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const kafkaDir = await newRunFolder();
  const broker = await startKafka({ dir: kafkaDir });
  t.teardown(async () => {
    await broker.kill();
    await removeFolder(kafkaDir);
  });
  const postgres = await startEmbeddedPostgres({ dir: join(dir, 'pg'), logger: quietLogger });
  t.teardown(() => postgres.stop());
  const prefix = `spool-${randomBytes(4).toString('hex')}-`;
  const start = async (): Promise<RunningSystem> => {
    const system = await startSystemProcess(join(dir, 'data'), {
      KAFKA_HOSTS: broker.hosts,
      KAFKA_PREFIX: prefix,
      KAFKA_TOPIC_PARTITIONS: '4',
      DATABASE_URL: postgres.url,
      TRIBUTARY_DEV_PROJECT: 'on',
      TRIBUTARY_ROLES: 'capture',
      LOG_LEVEL: 'info',
    });
    t.teardown(() => system.stop());
    return system;
  };
  let system = await start();
  const clients = Array.from({ length: CLIENTS }, (_, index) => new Client(`p${String(100 + index)}`));
  const sendAll = (share: number) =>
    Promise.all(
      clients.map((client) =>
        client.send(() => system.captureUrl, Math.ceil((events * share) / CLIENTS), eventsPerRequest),
      ),
    );

  await sendAll(0.1);
  await broker.kill();
  const away = performance.now();
  await sendAll(0.5);
  t.comment(
    `half of the events were acknowledged without Kafka in ${Math.round(performance.now() - away)} ms`,
  );
  const refusals = clients.reduce((sum, client) => sum + client.refusals, 0);
  t.equal(refusals, 0, 'every request was answered 200');
  const ready = await fetch(`${system.consoleUrl}/_ready`);
  t.match(
    { status: ready.status, text: await ready.text() },
    { status: 200, text: /events go to the spool/ },
  );
  await until('the metrics show what is in the spool', async () => {
    const metrics = await (await fetch(`${system.consoleUrl}/_metrics`)).text();
    const spooled = Number(/^tributary_spool_events (\d+)$/m.exec(metrics)?.[1]);
    return spooled >= events * 0.5 ? spooled : undefined;
  });

  const sending = sendAll(0.4);
  await pause(300);
  system.process.kill('SIGKILL');
  await system.process.ended;
  t.ok((await spooledInBooks(postgres.url)) >= events * 0.5, 'the books know it, though nobody runs');
  await broker.start();
  const restarted = performance.now();
  system = await start();
  await sending;
  const books = await until('the spool is drained', async () => {
    const answer = await fetch(`${system.consoleUrl}/_ledger`);
    if (answer.status !== 200) return undefined;
    const found: Books = JSON.parse(await answer.text());
    return found.spooled === 0 ? found : undefined;
  });
  t.comment(`drained and all sent ${Math.round(performance.now() - restarted)} ms after the start of Kafka`);
  t.comment(`${books.acknowledged} records for ${events} events: the rest are repeats`);

  const log = await openLogOn(t, broker.hosts, { prefix });
  const reader = new Reader('proof', [INGESTION_TOPIC]);
  const subscription = await log.subscribe(reader);
  await until('every record is read', async () =>
    reader.records.length >= books.acknowledged ? true : undefined,
  );
  await subscription.close();
  const places = new Map<string, { partition: number; offset: number }>();
  for (const { headers, partition, offset } of reader.records) {
    const known = places.get(headers['uuid'] ?? '');
    if (known === undefined || offset < known.offset)
      places.set(headers['uuid'] ?? '', { partition, offset });
  }
  let lost = 0;
  let outOfOrder = 0;
  for (const { acknowledged } of clients) {
    let last = -1;
    for (const uuid of acknowledged) {
      const place = places.get(uuid);
      if (place === undefined) lost++;
      else if (place.offset < last) outOfOrder++;
      last = place?.offset ?? last;
    }
  }
  const count = clients.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
  t.same({ lost, outOfOrder }, { lost: 0, outOfOrder: 0 }, `${count} acknowledged events`);
}

/** Kafka is away: what it would say is left out. */
async function spooledInBooks(url: string): Promise<number> {
  const postgres = openPostgres({ url, logger: quietLogger });
  try {
    return (await readBooks(postgres, { identity: () => 'none', offsets: async () => [] })).spooled;
  } finally {
    await postgres.close();
  }
}
