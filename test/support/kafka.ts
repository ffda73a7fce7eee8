/** A real Apache Kafka for tests. */
import tap from 'tap';
import { startKafka } from '../../tools/kafka/broker.ts';
import { newRunFolder, removeFolder } from '../../tools/kafka/folder.ts';

let hosts: Promise<string> | undefined;

/**
 * `host:port` of a broker: the one of this run of tests (`KAFKA_HOSTS`), else one for this file alone, gone when the
 * file ends. Tests share it: each uses a prefix of its own.
 */
export function kafkaHosts(): Promise<string> {
  hosts ??= process.env['KAFKA_HOSTS'] ? Promise.resolve(process.env['KAFKA_HOSTS']) : startOwn();
  return hosts;
}

async function startOwn(): Promise<string> {
  const dir = await newRunFolder();
  const broker = await startKafka({ dir });
  tap.teardown(async () => {
    await broker.kill();
    await removeFolder(dir);
  });
  return broker.hosts;
}
