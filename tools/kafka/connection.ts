/** How to reach a broker that asks for nothing, such as the one of `npm run kafka`. */
import type { KafkaConnection } from '../../src/storage/kafka/connect.ts';

/** `hosts`: as in `KAFKA_HOSTS`. */
export const plainConnection = (hosts: string): KafkaConnection => ({
  hosts: hosts.split(','),
  securityProtocol: 'PLAINTEXT',
  saslMechanism: 'PLAIN',
  saslUser: undefined,
  saslPassword: undefined,
});
