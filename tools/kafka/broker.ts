/**
 * Apache Kafka on 127.0.0.1, for development and tests: one node (KRaft), small, quick to start.
 *
 *     <dir>/server.properties   its settings
 *     <dir>/data                topics; made when they are not there
 *
 * The broker ends with this process, however that ends.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort, isFree } from '../free-port.ts';
import { kafkaJars, kafkaMissing } from './jars.ts';

export { kafkaMissing };

export interface KafkaBroker {
  /** `127.0.0.1:<port>` */
  readonly hosts: string;
  /** Of the broker that was started last. */
  readonly pid: number;
  /** kill -9; the data stays. */
  kill(): Promise<void>;
  /** Again, on the same port and data. Resolves when it answers. */
  start(): Promise<void>;
  /** Ends it as it wants to be ended. The data stays. */
  stop(): Promise<void>;
}

export interface KafkaOptions {
  /** Its own; what is in there already is used again. */
  readonly dir: string;
  /** Any free one, if not given. */
  readonly port?: number;
  /** Settings of the broker that differ from ours. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Takes lines for people. */
  readonly report?: (line: string) => void;
  /** Is called when the broker ends though nobody asked for it. */
  readonly onEnd?: (problem: string) => void;
}

const HOST = '127.0.0.1';
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 50;
const SAID_CHARS_MAX = 10_000;
const STARTED = 'Kafka Server started';

/** A JVM for a small machine: C1 only, because the start counts more than the peak. */
const JVM = ['-Xms64m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'];
const LOGGING = [
  'defaultLogLevel=warn',
  'log.kafka.server.KafkaRaftServer=info',
  'showShortLogName=true',
].map((setting) => `-Dorg.slf4j.simpleLogger.${setting}`);

/** Runs "$0" "$@" in the shell's place, and kills it when the pipe at descriptor 3 ends before a line came. */
const UNTIL_PARENT_ENDS = '(read -r line <&3 || kill -9 $$) & exec "$0" "$@" 3<&-';

/** Rejects with what is missing, or with what the broker said. */
export async function startKafka({
  dir,
  port: givenPort,
  properties = {},
  report = () => {},
  onEnd = () => {},
}: KafkaOptions): Promise<KafkaBroker> {
  const missing = await kafkaMissing();
  if (missing !== undefined) throw new Error(`Apache Kafka needs ${missing}: install it, and try again`);
  if (givenPort !== undefined && !(await isFree(givenPort))) {
    throw new Error(`port ${givenPort} on ${HOST} is taken: stop what listens there, or choose another port`);
  }
  const classPath = ['-cp', join(await kafkaJars(report), '*')];
  const port = givenPort ?? (await freePort());
  const config = join(dir, 'server.properties');
  const data = join(dir, 'data');
  await mkdir(dir, { recursive: true });
  await writeFile(config, propertiesText({ ...defaults(data, port, await freePort()), ...properties }));
  if (!existsSync(join(data, 'meta.properties'))) {
    const format = ['kafka.tools.StorageTool', 'format', '--cluster-id', newClusterId(), '--config', config];
    await promisify(execFile)('java', [...JVM, ...LOGGING, ...classPath, ...format]);
  }

  let running: Running | undefined;
  const start = async (): Promise<void> => {
    if (running !== undefined) throw new Error('the broker runs already');
    running = run([...JVM, ...LOGGING, ...classPath, 'kafka.Kafka', config], onEnd);
    await running.isUp(port);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    await running?.end(signal);
    running = undefined;
  };
  await start();
  return {
    hosts: `${HOST}:${port}`,
    get pid() {
      return running?.pid ?? 0;
    },
    start,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
}

interface Running {
  readonly pid: number;
  isUp(port: number): Promise<void>;
  end(signal: NodeJS.Signals): Promise<void>;
}

function run(args: readonly string[], onEnd: (problem: string) => void): Running {
  const child = spawn('sh', ['-c', UNTIL_PARENT_ENDS, 'java', ...args], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  let said = '';
  let mode: 'starting' | 'up' | 'ending' | 'ended' = 'starting';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-SAID_CHARS_MAX);
  });
  const ended = new Promise<void>((resolve) => {
    child.on('exit', () => {
      dismissWatcher(child);
      if (mode === 'up') onEnd(`Kafka ended by itself:\n${said}`);
      mode = 'ended';
      resolve();
    });
  });
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (mode === 'ended') return;
    mode = 'ending';
    child.kill(signal);
    const bound = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended.finally(() => clearTimeout(bound));
  };
  return {
    pid: child.pid ?? 0,
    end,
    async isUp(port) {
      for (let waited = 0; !said.includes(STARTED) || !(await isAnswering(port)); waited += POLL_MS) {
        if (mode !== 'starting') throw new Error(`Kafka ended while it started:\n${said}`);
        if (waited >= START_TIMEOUT_MS) {
          await end('SIGKILL');
          throw new Error(`Kafka did not start within ${START_TIMEOUT_MS / 1000} s:\n${said}`);
        }
        await wait(POLL_MS);
      }
      mode = 'up';
    },
  };
}

/** Its broker has ended: its number may soon be another process's. */
function dismissWatcher({ stdio: [, , , pipe] }: ChildProcess): void {
  if (!pipe || !('end' in pipe)) return;
  pipe.on('error', () => {});
  pipe.end('ended\n');
}

function defaults(data: string, port: number, controllerPort: number): Readonly<Record<string, string>> {
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@${HOST}:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://${HOST}:${port},CONTROLLER://${HOST}:${controllerPort}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': data,
    // Kafka counts from the time that a record bears, and tests give it any.
    'log.retention.ms': '-1',
    'auto.create.topics.enable': 'false',
    'group.initial.rebalance.delay.ms': '0',
    // A broker that was killed may not come back before this has passed.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
    // One node has one replica; few partitions, so that the start is quick.
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'num.network.threads': '2',
    'num.io.threads': '4',
    'background.threads': '2',
    'log.cleaner.dedupe.buffer.size': '8388608',
  };
}

function propertiesText(properties: Readonly<Record<string, string>>): string {
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('');
}

/** 16 bytes as base64 for URLs; must not begin with `-`. */
function newClusterId(): string {
  const bytes = randomBytes(16);
  return Buffer.concat([Buffer.from([bytes.readUInt8(0) & 0x7f]), bytes.subarray(1)]).toString('base64url');
}

function isAnswering(port: number): Promise<boolean> {
  const socket = connect(port, HOST);
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  }).then((answer) => {
    socket.destroy();
    return answer === true;
  });
}
