/** How the brokers are reached: addresses, TLS, SASL, timeouts, and what kafkajs says. */
import kafkajs, { type Kafka, type SASLOptions } from 'kafkajs';
import type { LIMITS } from '../../limits.ts';
import type { Logger } from '../../logger.ts';
import { registerCodecs } from './codecs.ts';

export interface KafkaConnection {
  /** `host:port` of some brokers; the others are learned from them. */
  readonly hosts: readonly string[];
  readonly securityProtocol: 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';
  readonly saslMechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
  readonly saslUser: string | undefined;
  readonly saslPassword: string | undefined;
}

export type KafkaLimits = { [Name in keyof typeof LIMITS.kafka]: number };

/**
 * A client: nothing is connected yet. Each consumer needs one of its own, as those of one client share their offsets.
 * Certificates are checked against Node's list; `NODE_EXTRA_CA_CERTS` adds to it.
 */
export function createClient(connection: KafkaConnection, limits: KafkaLimits, logger: Logger): Kafka {
  registerCodecs();
  const { hosts, securityProtocol } = connection;
  const sasl = securityProtocol.startsWith('SASL_') ? saslOptions(connection) : undefined;
  return new kafkajs.Kafka({
    clientId: 'tributary',
    brokers: [...hosts],
    ssl: securityProtocol.endsWith('SSL'),
    ...(sasl && { sasl }),
    connectionTimeout: limits.connectTimeoutMs,
    authenticationTimeout: limits.requestTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    // Whoever asks tries again, and knows for how long.
    retry: { retries: 1, initialRetryTime: limits.retryBackoffMinMs, maxRetryTime: limits.retryBackoffMaxMs },
    logLevel: kafkajs.logLevel.WARN,
    // An outage makes many of these lines; those that an operator needs are written by the adapter itself.
    logCreator:
      () =>
      ({ namespace, log }) =>
        logger.debug({ namespace, error: log['error'] }, `kafkajs: ${log.message}`),
  });
}

function saslOptions({ saslMechanism, saslUser, saslPassword }: KafkaConnection): SASLOptions {
  if (saslUser === undefined || saslPassword === undefined) {
    throw new Error('SASL needs a user and a password: set KAFKA_SASL_USER and KAFKA_SASL_PASSWORD.');
  }
  const credentials = { username: saslUser, password: saslPassword };
  switch (saslMechanism) {
    case 'PLAIN':
      return { mechanism: 'plain', ...credentials };
    case 'SCRAM-SHA-256':
      return { mechanism: 'scram-sha-256', ...credentials };
    case 'SCRAM-SHA-512':
      return { mechanism: 'scram-sha-512', ...credentials };
  }
}

/** Kafka's name of an error, such as `MESSAGE_TOO_LARGE`, where Kafka gave one. kafkajs wraps errors in errors. */
export function kafkaErrorType(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('type' in at && typeof at.type === 'string') return at.type;
  }
  return undefined;
}
