import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import type { KafkaConnection } from '../../src/storage/kafka/log.ts';
import { freePort } from '../../tools/free-port.ts';
import { startKafka } from '../../tools/kafka/broker.ts';
import { newRunFolder, removeFolder } from '../../tools/kafka/folder.ts';
import { kafkaJars } from '../../tools/kafka/jars.ts';
import { newPrefix } from '../support/kafka-log.ts';

const CLIENT = join(import.meta.dirname, '../support/kafka-client.ts');
const PASSWORD = 'secret of the test';
const run = promisify(execFile);

t.setTimeout(600_000);

const dir = await newRunFolder();
const keystore = join(dir, 'broker.p12');
const certificate = join(dir, 'broker.pem');
const store = ['-alias', 'broker', '-keystore', keystore, '-storetype', 'PKCS12', '-storepass', PASSWORD];
const subject = ['-dname', 'CN=127.0.0.1', '-ext', 'san=ip:127.0.0.1'];
await run('keytool', ['-genkeypair', ...store, '-keyalg', 'RSA', ...subject]);
await run('keytool', ['-exportcert', '-rfc', '-file', certificate, ...store]);

const port = await freePort();
const controllerPort = await freePort();
const ports = { SSL: await freePort(), SASL_PLAINTEXT: await freePort(), SASL_SSL: await freePort() };
const protocols = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'];
const plainLogin = `org.apache.kafka.common.security.plain.PlainLoginModule required user_ingest="${PASSWORD}";`;
const scramLogin = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
const logins = ['sasl_plaintext', 'sasl_ssl'].flatMap((listener) => [
  [`listener.name.${listener}.plain.sasl.jaas.config`, plainLogin],
  [`listener.name.${listener}.scram-sha-256.sasl.jaas.config`, scramLogin],
  [`listener.name.${listener}.scram-sha-512.sasl.jaas.config`, scramLogin],
]);
const broker = await startKafka({
  dir,
  port,
  properties: {
    listeners: [
      `PLAINTEXT://127.0.0.1:${port}`,
      `CONTROLLER://127.0.0.1:${controllerPort}`,
      ...Object.entries(ports).map(([protocol, port]) => `${protocol}://127.0.0.1:${port}`),
    ].join(),
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'listener.security.protocol.map': [
      'CONTROLLER:PLAINTEXT',
      ...protocols.map((protocol) => `${protocol}:${protocol}`),
    ].join(),
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'ssl.keystore.location': keystore,
    'ssl.keystore.password': PASSWORD,
    'ssl.keystore.type': 'PKCS12',
    ...Object.fromEntries(logins),
  },
});
t.teardown(async () => {
  await broker.kill();
  await removeFolder(dir);
});
const jars = ['-cp', join(await kafkaJars(() => {}), '*')];
for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512']) {
  await run('java', [
    ...[...jars, 'kafka.admin.ConfigCommand', '--bootstrap-server', broker.hosts, '--alter'],
    ...['--entity-type', 'users', '--entity-name', 'ingest'],
    ...['--add-config', `${mechanism}=[password=${PASSWORD}]`],
  ]);
}

/** What a process of its own says: the certificates that it trusts are chosen when it starts. */
async function connect(given: Partial<KafkaConnection>, isTrusted = true): Promise<string> {
  const connection: KafkaConnection = {
    hosts: [`127.0.0.1:${ports.SASL_SSL}`],
    securityProtocol: 'SASL_SSL',
    saslMechanism: 'SCRAM-SHA-512',
    saslUser: 'ingest',
    saslPassword: PASSWORD,
    ...given,
  };
  const args = ['--import', 'tsx', CLIENT, JSON.stringify(connection), newPrefix()];
  const env = { ...process.env, ...(isTrusted && { NODE_EXTRA_CA_CERTS: certificate }) };
  return (await run(process.execPath, args, { env })).stdout;
}

const hostsOf = (protocol: keyof typeof ports) => [`127.0.0.1:${ports[protocol]}`];

void t.test('TLS, and SASL with each mechanism, with and without TLS', async (t) => {
  t.match(await connect({ hosts: hostsOf('SSL'), securityProtocol: 'SSL' }), /^read \d 0/);
  t.match(await connect({ saslMechanism: 'PLAIN' }), /^read \d 0/);
  t.match(await connect({ saslMechanism: 'SCRAM-SHA-512' }), /^read \d 0/);
  const plaintext = { hosts: hostsOf('SASL_PLAINTEXT'), securityProtocol: 'SASL_PLAINTEXT' } as const;
  t.match(await connect({ ...plaintext, saslMechanism: 'SCRAM-SHA-256' }), /^read \d 0/);
});

void t.test('a wrong password, no password and a certificate of nobody are named', async (t) => {
  t.match(await connect({ saslPassword: 'wrong' }), /^Kafka at .*[Aa]uthentication/);
  t.match(await connect({ saslPassword: undefined }), /set KAFKA_SASL_USER and KAFKA_SASL_PASSWORD/);
  t.match(await connect({}, false), /^Kafka at .*self-signed certificate/);
});
