import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { ConfigError, type Environment, loadConfig, readConfig } from '../src/config.ts';
import { SETTINGS, type Setting, settingsHelp, settingsMarkdown, UNSUPPORTED } from '../src/settings.ts';

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
      trustedProxies: ['127.0.0.0/8', '::1/128'],
      logLevel: 'info',
    });
    t.equal(config.consoleToken, undefined);
    t.equal(config.databaseUrl, undefined);
  }
});

t.test('every setting is read, and says what it takes when it does not fit', async (t) => {
  const examples: Record<keyof typeof SETTINGS, readonly [valid: string, value: unknown, invalid: string]> = {
    roles: ['loader, capture ,worker', ['loader', 'capture', 'worker'], 'capture,apps'],
    dataDir: ['/tmp/elsewhere', '/tmp/elsewhere', ''],
    devProject: ['off', false, 'maybe'],
    captureHost: ['0.0.0.0', '0.0.0.0', ''],
    capturePort: ['0', 0, '65536'],
    consoleHost: ['::1', '::1', ''],
    consolePort: ['65535', 65_535, '80 10'],
    consoleToken: ['a-long-secret', 'a-long-secret', 'short'],
    embeddedPartitions: ['64', 64, '0'],
    databaseUrl: ['postgres://u:p@h:5432/d', 'postgres://u:p@h:5432/d', 'mysql://h/d'],
    clickHouseUrl: ['https://h:8443', 'https://h:8443', 'h:8123'],
    clickHouseUser: ['reader', 'reader', ''],
    clickHousePassword: ['p', 'p', ''],
    clickHouseDatabase: ['events_1', 'events_1', 'a-b'],
    bufferConversionSeconds: ['0', 0, '3601'],
    holdMb: ['65536', 65_536, '0'],
    personCacheMb: ['512', 512, '1.5'],
    trustedProxies: ['10.0.0.0/8, ::1', ['10.0.0.0/8', '::1'], '10.0.0.0/33'],
    witness: ['on', true, 'maybe'],
    logLevel: ['WARN', 'warn', 'loud'],
  };
  for (const [key, setting] of Object.entries(SETTINGS)) {
    const [, [valid, value, invalid] = ['', '', '']] =
      Object.entries(examples).find(([name]) => name === key) ?? [];
    const config: Readonly<Record<string, unknown>> = readConfig({ [setting.name]: valid });
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
    KAFKA_HOSTS: 'localhost:9092',
  });
  t.same(
    found.map((problem) => problem.split(' ')[0]),
    ['TRIBUTARY_DATADIR', 'KAFKA_HOSTS', 'CAPTURE_PORT', 'LOG_LEVEL'],
  );
  t.match(found[0], 'TRIBUTARY_DATA_DIR');
  t.equal(found[1], 'KAFKA_HOSTS is not supported by this version: leave it unset for the embedded log');
  t.equal(found[2], 'CAPTURE_PORT is "http": it takes a port, 0 to 65535 (0: any free one)');
});

t.test('what this version cannot serve is refused, unless it asks for nothing', async (t) => {
  for (const { name, harmless } of UNSUPPORTED) {
    t.match(problems({ [name]: '77' }), [`${name} is not supported by this version`]);
    if (harmless !== undefined) t.same(problems({ [name]: harmless }), []);
  }
  t.match(problems({ TRIBUTARY_ROLES: 'capture' }), ['TRIBUTARY_ROLES is "capture"']);
  t.match(problems({ CAPTURE_PORT: '9000', CONSOLE_PORT: '9000' }), ['CONSOLE_PORT is 9000']);
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
