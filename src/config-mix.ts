/** What settings mean together: their defaults where one follows from others, and which mixes are refused. */
import type { Values } from './config.ts';
import { type Ingestion, ROLES, type Role, SETTINGS } from './settings.ts';

/** Who moves rows into ClickHouse. */
export function ingestionOf({ clickHouseIngestion, kafkaHosts, clickHouseUrl }: Values): Ingestion {
  if (clickHouseIngestion !== undefined) return clickHouseIngestion;
  return kafkaHosts !== undefined && clickHouseUrl !== undefined ? 'kafka-engine' : 'loader';
}

/** What this process runs, in the order of `ROLES`. */
export function rolesOf(values: Values): readonly Role[] {
  const { roles } = values;
  return roles === undefined ? allRoles(values) : ROLES.filter((role) => roles.includes(role));
}

/** Every role that there is with these settings. */
const allRoles = (values: Values): readonly Role[] =>
  ingestionOf(values) === 'loader' ? ROLES : ROLES.filter((role) => role !== 'loader');

/** One line for each mix that cannot work. `isGiven`: whether the variable of this name has a value. */
export function mixProblems(values: Values, isGiven: (name: string) => boolean): string[] {
  return [
    ...kafkaProblems(values, isGiven),
    ...ingestionProblems(values),
    ...roleProblems(values),
    ...portProblems(values),
  ];
}

const KAFKA_NAMES = Object.values(SETTINGS)
  .map(({ name }) => name)
  .filter((name) => name.startsWith('KAFKA_') && name !== 'KAFKA_HOSTS');

function kafkaProblems(values: Values, isGiven: (name: string) => boolean): string[] {
  const given = KAFKA_NAMES.filter(isGiven);
  if (values.kafkaHosts === undefined) {
    if (given.length === 0) return [];
    return [
      `KAFKA_HOSTS is unset, so nothing reads ${given.join(', ')}: set KAFKA_HOSTS to the brokers, or leave them unset`,
    ];
  }
  const protocol = values.kafkaSecurityProtocol;
  if (protocol.startsWith('SASL_')) {
    return ['KAFKA_SASL_USER', 'KAFKA_SASL_PASSWORD']
      .filter((name) => !isGiven(name))
      .map((name) => `KAFKA_SECURITY_PROTOCOL is ${protocol}: it needs ${name}, which is unset`);
  }
  return given
    .filter((name) => name.startsWith('KAFKA_SASL_'))
    .map(
      (name) =>
        `${name} is given, but KAFKA_SECURITY_PROTOCOL is ${protocol}: make that SASL_SSL or SASL_PLAINTEXT, ` +
        `or leave ${name} unset`,
    );
}

function ingestionProblems(values: Values): string[] {
  if (ingestionOf(values) === 'loader') return [];
  const missing: string[] = [];
  if (values.kafkaHosts === undefined) missing.push('KAFKA_HOSTS');
  if (values.clickHouseUrl === undefined) missing.push('CLICKHOUSE_URL');
  if (missing.length > 0) {
    return [
      `CLICKHOUSE_INGESTION is kafka-engine: a ClickHouse server reads the topics from Kafka, so set ${missing.join(' and ')}, ` +
        'or make it loader',
    ];
  }
  if (!values.roles?.includes('loader')) return [];
  return [
    'TRIBUTARY_ROLES names loader, but with CLICKHOUSE_INGESTION=kafka-engine (the default with KAFKA_HOSTS and ' +
      'CLICKHOUSE_URL) ClickHouse moves the rows itself: leave loader out, or set CLICKHOUSE_INGESTION=loader',
  ];
}

function roleProblems(values: Values): string[] {
  const embedded: string[] = [];
  if (values.kafkaHosts === undefined) embedded.push('the embedded log (KAFKA_HOSTS is unset)');
  if (values.databaseUrl === undefined) embedded.push('the embedded PostgreSQL (DATABASE_URL is unset)');
  const all = allRoles(values);
  const isComplete = all.every((role) => rolesOf(values).includes(role));
  if (embedded.length === 0 || isComplete) return [];
  return [
    `TRIBUTARY_ROLES is "${rolesOf(values).join(',')}": with ${embedded.join(' and ')} one process runs every role, ` +
      `so leave it unset, make it "${all.join(',')}", or set what is unset`,
  ];
}

function portProblems(values: Values): string[] {
  const { capturePort, consolePort } = values;
  if (capturePort !== consolePort || capturePort === 0 || !rolesOf(values).includes('capture')) return [];
  return [`CONSOLE_PORT is ${consolePort}, as CAPTURE_PORT is: give it another port`];
}
