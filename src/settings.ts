/** The table of settings: one list that drives parsing, `npm start -- --help` and the README. */
import { isIP } from 'node:net';
import { LOG_LEVELS, type LogLevel } from './logger.ts';

export interface Setting<T> {
  /** Name of the environment variable. */
  readonly name: string;
  readonly default: T;
  /** How the default reads, where it is not a plain value. */
  readonly defaultText?: string;
  /** What is valid, in words that fit after "it takes". */
  readonly takes: string;
  readonly meaning: string;
  /** Its value is never shown. */
  readonly secret?: true;
  /** `undefined`: not valid. Never called with an empty text, which means unset. */
  read(text: string): NonNullable<T> | undefined;
}

export const ROLES = ['capture', 'worker', 'loader'] as const;
export type Role = (typeof ROLES)[number];

const SECURITY_PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'] as const;
export type SecurityProtocol = (typeof SECURITY_PROTOCOLS)[number];

const SASL_MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;
export type SaslMechanism = (typeof SASL_MECHANISMS)[number];

const INGESTIONS = ['loader', 'kafka-engine'] as const;
export type Ingestion = (typeof INGESTIONS)[number];

export const SETTINGS = {
  roles: setting<readonly Role[] | undefined>({
    name: 'TRIBUTARY_ROLES',
    default: undefined,
    defaultText: 'all that the other settings call for',
    takes: `a comma-separated list of ${ROLES.join(', ')}`,
    meaning:
      'What this process runs. With the embedded log or the embedded PostgreSQL one process runs everything',
    read: list((text) => ROLES.find((role) => role === text)),
  }),
  dataDir: setting({
    name: 'TRIBUTARY_DATA_DIR',
    default: './data',
    takes: 'a folder',
    meaning: 'Everything embedded lives here; one process at a time',
    read: text,
  }),
  devProject: setting<boolean | undefined>({
    name: 'TRIBUTARY_DEV_PROJECT',
    default: undefined,
    defaultText: 'on when Postgres is embedded',
    takes: 'on or off',
    meaning: 'Makes project 1 with the token `phc_tributary_dev`',
    read: onOrOff,
  }),
  captureHost: setting({
    name: 'CAPTURE_HOST',
    default: '127.0.0.1',
    takes: 'an address or host name of this machine',
    meaning: 'Where SDKs post',
    read: text,
  }),
  capturePort: setting({
    name: 'CAPTURE_PORT',
    default: 8000,
    takes: 'a port, 0 to 65535 (0: any free one)',
    meaning: 'Where SDKs post',
    read: integer(0, 65_535),
  }),
  consoleHost: setting({
    name: 'CONSOLE_HOST',
    default: '127.0.0.1',
    takes: 'an address or host name of this machine',
    meaning: 'Health, metrics, the books and queries; never on the capture port',
    read: text,
  }),
  consolePort: setting({
    name: 'CONSOLE_PORT',
    default: 8010,
    takes: 'a port, 0 to 65535 (0: any free one)',
    meaning: 'Health, metrics, the books and queries; never on the capture port',
    read: integer(0, 65_535),
  }),
  consoleToken: setting<string | undefined>({
    name: 'CONSOLE_TOKEN',
    default: undefined,
    takes: 'a secret of 8 or more characters without spaces',
    meaning: 'Bearer token for what shows data; without it that answers on loopback only',
    secret: true,
    read: (value) => (/^[\x21-\x7e]{8,}$/.test(value) ? value : undefined),
  }),
  embeddedPartitions: setting({
    name: 'EMBEDDED_PARTITIONS',
    default: 4,
    takes: 'a whole number, 1 to 64',
    meaning: 'Partitions of a new embedded log; an existing one keeps its own',
    read: integer(1, 64),
  }),
  kafkaHosts: setting<readonly string[] | undefined>({
    name: 'KAFKA_HOSTS',
    default: undefined,
    defaultText: 'embedded log (lmdb)',
    takes: 'a comma-separated list of brokers such as kafka-1:9092,kafka-2:9092',
    meaning: 'Kafka for the log',
    read: list((value) => (isHostAndPort(value) ? value : undefined)),
  }),
  kafkaTopicPartitions: setting({
    name: 'KAFKA_TOPIC_PARTITIONS',
    default: 8,
    takes: 'a whole number, 1 to 10000',
    meaning: 'Partitions of topics that are made on Kafka; existing ones keep their own',
    read: integer(1, 10_000),
  }),
  kafkaPrefix: setting({
    name: 'KAFKA_PREFIX',
    default: '',
    defaultText: 'none',
    takes: 'at most 100 letters, digits, dots, _ and -',
    meaning: 'Begins the names of topics and consumer groups',
    read: (value) => (/^[\w.-]{1,100}$/.test(value) ? value : undefined),
  }),
  kafkaSecurityProtocol: setting<SecurityProtocol>({
    name: 'KAFKA_SECURITY_PROTOCOL',
    default: 'PLAINTEXT',
    takes: `one of ${SECURITY_PROTOCOLS.join(', ')}`,
    meaning: 'How brokers are spoken to',
    read: (value) => SECURITY_PROTOCOLS.find((protocol) => protocol === value.toUpperCase()),
  }),
  kafkaSaslMechanism: setting<SaslMechanism>({
    name: 'KAFKA_SASL_MECHANISM',
    default: 'PLAIN',
    takes: `one of ${SASL_MECHANISMS.join(', ')}`,
    meaning: 'With a SASL protocol: how the user is proven',
    read: (value) => SASL_MECHANISMS.find((mechanism) => mechanism === value.toUpperCase()),
  }),
  kafkaSaslUser: setting<string | undefined>({
    name: 'KAFKA_SASL_USER',
    default: undefined,
    takes: 'a user name',
    meaning: 'With a SASL protocol: the user',
    read: text,
  }),
  kafkaSaslPassword: setting<string | undefined>({
    name: 'KAFKA_SASL_PASSWORD',
    default: undefined,
    takes: 'a password',
    meaning: 'With a SASL protocol: the password',
    secret: true,
    read: text,
  }),
  databaseUrl: setting<string | undefined>({
    name: 'DATABASE_URL',
    default: undefined,
    defaultText: 'embedded PostgreSQL 18',
    takes: 'a URL such as postgres://user:password@host:5432/database',
    meaning: 'PostgreSQL for projects and persons',
    secret: true,
    read: url('postgres:', 'postgresql:'),
  }),
  clickHouseUrl: setting<string | undefined>({
    name: 'CLICKHOUSE_URL',
    default: undefined,
    defaultText: 'embedded ClickHouse (chdb)',
    takes: 'a URL such as http://host:8123',
    meaning: 'ClickHouse for events',
    secret: true,
    read: url('http:', 'https:'),
  }),
  clickHouseUser: setting({
    name: 'CLICKHOUSE_USER',
    default: 'default',
    takes: 'a user name',
    meaning: 'User at `CLICKHOUSE_URL`',
    read: text,
  }),
  clickHousePassword: setting<string | undefined>({
    name: 'CLICKHOUSE_PASSWORD',
    default: undefined,
    takes: 'a password',
    meaning: 'Password at `CLICKHOUSE_URL`',
    secret: true,
    read: text,
  }),
  clickHouseDatabase: setting({
    name: 'CLICKHOUSE_DATABASE',
    default: 'default',
    takes: 'a database name of letters, digits and _',
    meaning: 'Database at `CLICKHOUSE_URL`',
    read: (value) => (/^\w+$/.test(value) ? value : undefined),
  }),
  clickHouseIngestion: setting<Ingestion | undefined>({
    name: 'CLICKHOUSE_INGESTION',
    default: undefined,
    defaultText: '`loader`, or `kafka-engine` when `KAFKA_HOSTS` and `CLICKHOUSE_URL` are both set',
    takes: `one of ${INGESTIONS.join(', ')}`,
    meaning:
      'Who moves rows from the topics into the tables: the role loader, or ClickHouse itself with Kafka engine tables',
    read: (value) => INGESTIONS.find((ingestion) => ingestion === value),
  }),
  bufferConversionSeconds: setting({
    name: 'BUFFER_CONVERSION_SECONDS',
    default: 60,
    takes: 'a whole number of seconds, 0 to 3600 (0: no event waits)',
    meaning:
      'How long events of an id that nobody knows wait for the `$identify` or alias that says who it is',
    read: integer(0, 3600),
  }),
  holdMb: setting({
    name: 'HOLD_MB',
    default: 256,
    takes: 'a whole number of megabytes, 1 to 65536',
    meaning: 'Bound of such events in memory; past it the oldest go on early',
    read: integer(1, 65_536),
  }),
  personCacheMb: setting({
    name: 'PERSON_CACHE_MB',
    default: 256,
    takes: 'a whole number of megabytes, 1 to 65536',
    meaning: "Bound of the worker's cache of persons",
    read: integer(1, 65_536),
  }),
  spoolMb: setting({
    name: 'SPOOL_MB',
    default: 1024,
    takes: 'a whole number of megabytes, 0 to 65536 (0: no spool)',
    meaning:
      'With Kafka: bound of the events that capture keeps in `TRIBUTARY_DATA_DIR/spool` while the brokers are away; past it 503',
    read: integer(0, 65_536),
  }),
  trustedProxies: setting<readonly string[]>({
    name: 'TRUSTED_PROXIES',
    default: ['127.0.0.0/8', '::1/128'],
    defaultText: 'loopback',
    takes: 'a comma-separated list of addresses or CIDR ranges such as 10.0.0.0/8',
    meaning: 'Whose `X-Forwarded-For` is believed',
    read: list((value) => (isRange(value) ? value : undefined)),
  }),
  flagsProxyUrl: setting<string | undefined>({
    name: 'FLAGS_PROXY_URL',
    default: undefined,
    defaultText: 'unset: there are no feature flags',
    takes: 'a URL such as https://us.i.posthog.com',
    meaning:
      'A PostHog host that answers `/flags` and `/decide`; while it does not, clients get the empty set and keep the flags they know',
    secret: true,
    read: url('http:', 'https:'),
  }),
  witness: setting<boolean>({
    name: 'TRIBUTARY_WITNESS',
    default: false,
    defaultText: 'off',
    takes: 'on or off',
    meaning: 'Records the order in which events were folded, for proofs',
    read: onOrOff,
  }),
  logLevel: setting<LogLevel>({
    name: 'LOG_LEVEL',
    default: 'info',
    takes: `one of ${LOG_LEVELS.join(', ')}`,
    meaning: 'The least important lines that are logged',
    read: (value) => LOG_LEVELS.find((level) => level === value.toLowerCase()),
  }),
} as const;

/** A Markdown table of all settings, for the README. */
export function settingsMarkdown(): string {
  const rows = Object.values(SETTINGS).map(
    (each) => `| \`${each.name}\` | ${defaultMarkdown(each)} | ${each.meaning} |`,
  );
  return ['| Variable | Default | Meaning |', '| --- | --- | --- |', ...rows].join('\n');
}

function defaultMarkdown(each: Setting<unknown>): string {
  if (each.defaultText !== undefined) return each.defaultText;
  return each.default === undefined ? 'unset' : `\`${each.default}\``;
}

/** What `npm start -- --help` prints. */
export function settingsHelp(): string {
  const lines = Object.values(SETTINGS).map((each: Setting<unknown>) => {
    const fallback = each.defaultText ?? (each.default === undefined ? 'unset' : `${each.default}`);
    return `  ${each.name}\n      ${each.meaning.replaceAll('`', '')}.\n      Takes ${each.takes}. Default: ${fallback}.`;
  });
  return `Usage: npm start

Starts the whole system in one process: capture, worker, loader and what they need; with
Kafka and Postgres servers, the part of it that TRIBUTARY_ROLES names. Ctrl-C ends it.

Settings are environment variables; a .env file in the current folder is read too.

${lines.join('\n')}
`;
}

/** Only so that each entry of the table is checked, and its type inferred, on its own. */
function setting<T>(each: Setting<T>): Setting<T> {
  return each;
}

function text(value: string): string {
  return value;
}

function integer(min: number, max: number): (value: string) => number | undefined {
  return (value) => {
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    return number >= min && number <= max ? number : undefined;
  };
}

function onOrOff(value: string): boolean | undefined {
  if (/^(on|true|1|yes)$/i.test(value)) return true;
  return /^(off|false|0|no)$/i.test(value) ? false : undefined;
}

function url(...protocols: readonly string[]): (value: string) => string | undefined {
  return (value) => {
    const parsed = URL.canParse(value) ? new URL(value) : undefined;
    return parsed && protocols.includes(parsed.protocol) && parsed.hostname !== '' ? value : undefined;
  };
}

function list<T>(item: (value: string) => T | undefined): (value: string) => readonly T[] | undefined {
  return (value) => {
    const items = value.split(',').map((each) => item(each.trim()));
    const valid = items.filter((each): each is Exclude<typeof each, undefined> => each !== undefined);
    return valid.length === items.length ? valid : undefined;
  };
}

/** An IPv6 address is written in brackets. */
function isHostAndPort(value: string): boolean {
  const port = /^(?:[\w.-]+|\[[\da-f:.]+\]):(\d{1,5})$/i.exec(value)?.[1];
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
}

function isRange(value: string): boolean {
  const [address = '', prefix, ...rest] = value.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return prefix === undefined || integer(0, version === 4 ? 32 : 128)(prefix) !== undefined;
}
