import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { ConfigError, type Environment, loadConfig, readConfig } from '../src/config.ts';
import { SETTINGS, type Setting, settingsHelp, settingsMarkdown } from '../src/settings.ts';

const TABLE: readonly Setting<unknown>[] = Object.values(SETTINGS);

function problems(environment: Environment): readonly string[] {
  try {
    readConfig(environment);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

t.test('without any setting everything has its default, and an empty value counts as unset', async (t) => {
  const empty = Object.fromEntries(TABLE.map(({ name }) => [name, ' ']));
  for (const environment of [{}, empty]) {
    const config = readConfig(environment);
    t.match(config, {
      roles: ['capture', 'worker', 'loader'],
      clickHouseIngestion: 'loader',
      dataDir: resolve('data'),
      devProject: true,
      captureHost: '127.0.0.1',
      capturePort: 8000,
      consoleHost: '127.0.0.1',
      consolePort: 8010,
      embeddedPartitions: 4,
      clickHouseDatabase: 'default',
      bufferConversionSeconds: 60,
      holdMb: 256,
      personCacheMb: 256,
      spoolMb: 1024,
      trustedProxies: ['127.0.0.0/8', '::1/128'],
      logLevel: 'info',
    });
    t.equal(config.consoleToken, undefined);
    t.equal(config.databaseUrl, undefined);
  }
});

const SASL = { KAFKA_SECURITY_PROTOCOL: 'SASL_SSL', KAFKA_SASL_USER: 'ann', KAFKA_SASL_PASSWORD: 'secret' };

/** What has to be set beside a setting of this name. */
function contextOf(name: string): Environment {
  if (name === 'CLICKHOUSE_INGESTION') return { KAFKA_HOSTS: 'k:9092', CLICKHOUSE_URL: 'http://h:8123' };
  if (/^KAFKA_S/.test(name)) return { KAFKA_HOSTS: 'k:9092', ...SASL };
  return name.startsWith('KAFKA_') ? { KAFKA_HOSTS: 'k:9092' } : {};
}

t.test('every setting is read, and says what it takes when it does not fit', async (t) => {
  const examples: Record<keyof typeof SETTINGS, readonly [valid: string, value: unknown, invalid: string]> = {
    roles: ['loader, capture ,worker', ['capture', 'worker', 'loader'], 'capture,apps'],
    dataDir: ['/tmp/elsewhere', '/tmp/elsewhere', ''],
    devProject: ['off', false, 'maybe'],
    captureHost: ['0.0.0.0', '0.0.0.0', ''],
    capturePort: ['0', 0, '65536'],
    consoleHost: ['::1', '::1', ''],
    consolePort: ['65535', 65_535, '80 10'],
    consoleToken: ['a-long-secret', 'a-long-secret', 'short'],
    embeddedPartitions: ['64', 64, '0'],
    kafkaHosts: ['k1:9092, [::1]:9093', ['k1:9092', '[::1]:9093'], 'k1:9092,k2'],
    kafkaTopicPartitions: ['64', 64, '0'],
    kafkaPrefix: ['eu-1.', 'eu-1.', 'a b'],
    kafkaSecurityProtocol: ['sasl_ssl', 'SASL_SSL', 'TLS'],
    kafkaSaslMechanism: ['scram-sha-512', 'SCRAM-SHA-512', 'GSSAPI'],
    kafkaSaslUser: ['ann', 'ann', ''],
    kafkaSaslPassword: ['p', 'p', ''],
    databaseUrl: ['postgres://u:p@h:5432/d', 'postgres://u:p@h:5432/d', 'mysql://h/d'],
    clickHouseUrl: ['https://h:8443', 'https://h:8443', 'h:8123'],
    clickHouseUser: ['reader', 'reader', ''],
    clickHousePassword: ['p', 'p', ''],
    clickHouseDatabase: ['events_1', 'events_1', 'a-b'],
    clickHouseIngestion: ['kafka-engine', 'kafka-engine', 'mirror'],
    bufferConversionSeconds: ['0', 0, '3601'],
    holdMb: ['65536', 65_536, '0'],
    personCacheMb: ['512', 512, '1.5'],
    spoolMb: ['0', 0, '65537'],
    trustedProxies: ['10.0.0.0/8, ::1', ['10.0.0.0/8', '::1'], '10.0.0.0/33'],
    witness: ['on', true, 'maybe'],
    flagsProxyUrl: ['https://us.i.posthog.com', 'https://us.i.posthog.com', 'flags.example'],
    logLevel: ['WARN', 'warn', 'loud'],
  };
  for (const [key, setting] of Object.entries(SETTINGS)) {
    const [, [valid, value, invalid] = ['', '', '']] =
      Object.entries(examples).find(([name]) => name === key) ?? [];
    const config: Readonly<Record<string, unknown>> = readConfig({
      ...contextOf(setting.name),
      [setting.name]: valid,
    });
    t.same(config[key], value, `${setting.name}=${valid}`);
    if (invalid === '') continue;
    const [problem, ...others] = problems({ [setting.name]: invalid });
    t.same(others, []);
    t.match(problem, `${setting.name} is `);
    t.match(problem, setting.takes);
    t.equal(problem?.includes(invalid), !('secret' in setting), 'shows what it got, unless it is a secret');
  }
});

t.test('no text whatever makes a setting throw anything but its problem', async (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...TABLE), fc.string(), ({ name }, text) => {
      for (const problem of problems({ [name]: text })) {
        if (!problem.includes(name)) throw new Error(problem);
      }
    }),
  );
  t.pass();
});

t.test('all problems are told at once, unknown names among them', async (t) => {
  const found = problems({
    TRIBUTARY_DATADIR: '/tmp/x',
    CAPTURE_PORT: 'http',
    LOG_LEVEL: 'loud',
    SPOOL_MB: 'much',
  });
  t.same(
    found.map((problem) => problem.split(' ')[0]),
    ['TRIBUTARY_DATADIR', 'CAPTURE_PORT', 'SPOOL_MB', 'LOG_LEVEL'],
  );
  t.match(found[0], 'TRIBUTARY_DATA_DIR');
  t.equal(found[1], 'CAPTURE_PORT is "http": it takes a port, 0 to 65535 (0: any free one)');
});

const KAFKA = { KAFKA_HOSTS: 'k1:9092,k2:9092' };
const POSTGRES = { DATABASE_URL: 'postgres://u:p@h/d' };
const CLICKHOUSE = { CLICKHOUSE_URL: 'http://h:8123' };
const SERVERS = { ...KAFKA, ...POSTGRES, ...CLICKHOUSE };

t.test('roles and ingestion follow from the stores', async (t) => {
  const shape = (environment: Environment) => {
    const { roles, clickHouseIngestion } = readConfig(environment);
    return [roles.join(), clickHouseIngestion];
  };
  const all = 'capture,worker,loader';
  t.same(shape(KAFKA), [all, 'loader']);
  t.same(shape({ ...POSTGRES, ...CLICKHOUSE }), [all, 'loader']);
  t.same(shape({ ...KAFKA, ...POSTGRES }), [all, 'loader']);
  t.same(shape(SERVERS), ['capture,worker', 'kafka-engine']);
  t.same(shape({ ...SERVERS, CLICKHOUSE_INGESTION: 'loader' }), [all, 'loader']);
  t.same(shape({ ...KAFKA, ...CLICKHOUSE }), ['capture,worker', 'kafka-engine']);
});

t.test('a process may run fewer roles exactly when the log and Postgres are shared', async (t) => {
  fc.assert(
    fc.property(
      fc.subarray(['capture', 'worker', 'loader'], { minLength: 1 }),
      fc.record({ kafka: fc.boolean(), postgres: fc.boolean(), clickHouse: fc.boolean() }),
      (roles, shared) => {
        const found = problems({
          TRIBUTARY_ROLES: roles.join(),
          CLICKHOUSE_INGESTION: 'loader',
          ...(shared.kafka ? KAFKA : {}),
          ...(shared.postgres ? POSTGRES : {}),
          ...(shared.clickHouse ? CLICKHOUSE : {}),
        });
        const fits = roles.length === 3 || (shared.kafka && shared.postgres);
        if (found.length !== (fits ? 0 : 1)) throw new Error(`${found}`);
        if (!fits && !shared.kafka !== found[0]?.includes('KAFKA_HOSTS')) throw new Error(found[0]);
        if (!fits && !shared.postgres !== found[0]?.includes('DATABASE_URL')) throw new Error(found[0]);
      },
    ),
  );
  t.pass();
});

t.test('settings that contradict one another are refused, and what to do is said', async (t) => {
  const mixes: readonly (readonly [Environment, ...RegExp[]])[] = [
    [{ CAPTURE_PORT: '9000', CONSOLE_PORT: '9000' }, /^CONSOLE_PORT is 9000/],
    [{ TRIBUTARY_ROLES: 'capture' }, /^TRIBUTARY_ROLES is "capture".*"capture,worker,loader"/],
    [{ KAFKA_PREFIX: 'eu-' }, /^KAFKA_HOSTS is unset.*KAFKA_PREFIX/],
    [{ ...KAFKA, KAFKA_SASL_USER: 'ann' }, /^KAFKA_SASL_USER is given, but KAFKA_SECURITY_PROTOCOL is/],
    [{ ...KAFKA, ...SASL, KAFKA_SASL_USER: '' }, /^KAFKA_SECURITY_PROTOCOL is SASL_SSL.*KAFKA_SASL_USER/],
    [{ CLICKHOUSE_INGESTION: 'kafka-engine' }, /^CLICKHOUSE_INGESTION.*KAFKA_HOSTS and CLICKHOUSE_URL/],
    [{ ...KAFKA, CLICKHOUSE_INGESTION: 'kafka-engine' }, /set CLICKHOUSE_URL/],
    [{ ...SERVERS, TRIBUTARY_ROLES: 'loader' }, /^TRIBUTARY_ROLES names loader.*CLICKHOUSE_INGESTION=loader/],
  ];
  for (const [environment, ...expected] of mixes) t.match(problems(environment), expected);
  const ports = { CAPTURE_PORT: '9000', CONSOLE_PORT: '9000' };
  t.same(problems({ ...SERVERS, ...ports, TRIBUTARY_ROLES: 'worker' }), [], 'capture opens no port there');
});

t.test('the development project is off when Postgres is a server, unless it is asked for', async (t) => {
  const databaseUrl = 'postgres://u:p@h/d';
  t.equal(readConfig({ DATABASE_URL: databaseUrl }).devProject, false);
  t.equal(readConfig({ DATABASE_URL: databaseUrl, TRIBUTARY_DEV_PROJECT: 'on' }).devProject, true);
});

t.test('.env is read, and the environment wins over it', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'tributary-config-'));
  const before = process.cwd();
  const { CAPTURE_PORT, CONSOLE_PORT } = process.env;
  t.teardown(() => {
    process.chdir(before);
    rmSync(dir, { recursive: true });
    restore('CAPTURE_PORT', CAPTURE_PORT);
    restore('CONSOLE_PORT', CONSOLE_PORT);
  });
  process.chdir(dir);
  delete process.env['CAPTURE_PORT'];
  process.env['CONSOLE_PORT'] = '9020';
  writeFileSync('.env', '# a comment\nCAPTURE_PORT=9001\nCONSOLE_PORT="9002"\n');
  const config = loadConfig();
  t.equal(config.capturePort, 9001);
  t.equal(config.consolePort, 9020);
});

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

t.test('the help and the README show every setting', async (t) => {
  for (const { name, takes, meaning } of TABLE) {
    t.ok(settingsHelp().includes(`  ${name}\n`), name);
    t.ok(settingsHelp().includes(takes), name);
    t.ok(settingsMarkdown().includes(`| \`${name}\` | `), name);
    t.notOk(/[|\n]/.test(meaning), `${name} fits into a table`);
  }
});

const readme = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8');
const [, section = ''] = /<!-- settings -->\n([\s\S]*?)\n?<!-- \/settings -->/.exec(readme) ?? [];

t.test('the README has the table of settings as it is', async (t) => {
  t.equal(unaligned(section), unaligned(settingsMarkdown()), 'node --import tsx tools/settings-table.ts');
});

/** A formatter may have aligned the columns. */
function unaligned(table: string): string {
  return table.trim().replace(/ +/g, ' ').replace(/-{3,}/g, '---');
}

t.test('a secret under a name that no setting has is not shown', async (t) => {
  const given = {
    TRIBUTARY_CONSOLE_TOKEN: 'correct-horse',
    TRIBUTARY_DATABASE_URL: 'postgres://a:hidden@b/c',
  };
  t.throws(() => readConfig(given), { message: /TRIBUTARY_CONSOLE_TOKEN is set \(not shown here\)/ });
  t.throws(() => readConfig(given), { message: /^(?![\s\S]*(correct-horse|hidden@))/ });
});
