/** The services of `docker-compose.yml`, by hand: their commands and variables, against local servers. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import t from 'tap';
import { LIMITS } from '../../src/limits.ts';
import { openClickHouse } from '../../src/storage/clickhouse/clickhouse.ts';
import { startClickHouseBridge } from '../support/clickhouse-bridge.ts';
import { composeServices, readImage, type Service } from '../support/compose.ts';
import { kafkaHosts } from '../support/kafka.ts';
import { withEmptyPostgres } from '../support/postgres.ts';
import { type Program, runProgram } from '../support/program.ts';
import { until } from '../system/harness.ts';

const EVENTS = 20;
t.setTimeout(600_000);

t.test('the services as they are in the file take events and show their rows', async (t) => {
  const dir = t.testdir();
  const [hosts, postgres, clickhouse, bridge] = await Promise.all([
    kafkaHosts(),
    withEmptyPostgres(t),
    openClickHouse({ dir }),
    startClickHouseBridge(dir),
  ]);
  const image = readImage();
  const services = composeServices({ KAFKA_TOPIC_PARTITIONS: '2', BUFFER_CONVERSION_SECONDS: '0' });
  /** What differs outside of containers: where the servers are, and ports, because all share one address; more is logged. */
  const local = {
    KAFKA_HOSTS: hosts,
    KAFKA_PREFIX: `${randomBytes(4).toString('hex')}-`,
    DATABASE_URL: postgres.url,
    CLICKHOUSE_URL: bridge.url,
    CAPTURE_HOST: '127.0.0.1',
    TRIBUTARY_DATA_DIR: `${dir}/data`,
    LOG_LEVEL: 'debug',
    CONSOLE_HOST: '127.0.0.1',
    CAPTURE_PORT: '0',
    CONSOLE_PORT: '0',
  };
  const running: Program[] = [];
  t.teardown(async () => {
    for (const program of running) program.kill('SIGKILL');
    await Promise.all(running.map((program) => program.ended));
    await bridge.close();
    await clickhouse.close();
  });
  function start(service: Service | undefined): Program {
    const [node, flag, tsx, script = '', ...args] = service?.command ?? image.command;
    t.same([node, flag, tsx], ['node', '--import', 'tsx']);
    const program = runProgram(script, args, { ...image.environment, ...service?.environment, ...local });
    running.push(program);
    return program;
  }

  const migrated = await start(services['migrate']).ended;
  t.same([migrated.code, migrated.stderr], [0, ''], 'migrate ends well, so that the others may start');

  const { capture, worker } = services;
  const workers = Array.from({ length: worker?.deploy?.replicas ?? 1 }, () => worker);
  t.equal(workers.length, 2);
  const programs = [capture, ...workers].map(start);
  const ready: readonly { captureUrl?: string; consoleUrl: string }[] = await Promise.all(
    programs.map(async (program) => JSON.parse(await program.line('"msg":"ready"'))),
  );
  const [node = '', ...check] = image.healthCheck;
  for (const { consoleUrl } of ready) {
    const env = { PATH: process.env['PATH'], CONSOLE_PORT: new URL(consoleUrl).port };
    await t.resolves(promisify(execFile)(node, check, { env }), 'it is healthy');
  }

  for (let sent = 0; sent < EVENTS; sent += 1) {
    const event = { api_key: 'phc_tributary_dev', event: 'hello', distinct_id: `visitor ${sent}` };
    const answer = await fetch(`${ready[0]?.captureUrl}/i/v0/e`, {
      method: 'POST',
      body: JSON.stringify(event),
    });
    t.equal(answer.status, 200);
  }
  const shown = async () => {
    const rows = await clickhouse.query('SELECT uniqExact(distinct_id) AS ids FROM events');
    return rows.trim() === `{"ids":${EVENTS}}` || undefined;
  };
  t.ok(await until('the rows of all events', shown), 'ClickHouse has taken them from Kafka');

  // A ClickHouse that does not answer when they are stopped: each worker is in the middle of a look for refused rows.
  bridge.hang();
  await delay(LIMITS.kafkaEngine.lookEveryMs + 1_000);
  const graceMs = Number.parseInt(capture?.stop_grace_period ?? '', 10) * 1000;
  const before = performance.now();
  for (const program of programs) program.kill('SIGTERM');
  const ends = await Promise.all(programs.map((program) => program.ended));
  t.same(
    ends.map(({ code }) => code),
    [0, 0, 0],
  );
  t.ok(performance.now() - before < graceMs, 'none is killed by Docker in its stop');
  for (const { stdout } of ends.slice(1)) {
    const stopped = [...stdout.matchAll(/"part":"([^"]+)","msg":"stopped"/g)].map(([, part]) => part);
    t.ok(stopped.includes('watch of refused rows'));
    t.ok(stopped.indexOf('worker') < stopped.indexOf('watch of refused rows'), 'the group is left first');
  }
});
