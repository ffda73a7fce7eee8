/** `npm run kafka`: a real Apache Kafka on this machine, for development. */
import { resolve } from 'node:path';
import { runCommand, UsageError } from '../../src/cli/command.ts';
import { startKafka } from './broker.ts';
import { newRunFolder, removeFolder } from './folder.ts';

const PORT = 9092;
const PARENT_POLL_MS = 1000;

const HELP = `Usage: npm run kafka [-- --port N] [-- --keep DIR]

Starts Apache Kafka on 127.0.0.1 and shows the KAFKA_HOSTS to give to \`npm start\`. Needs
Java 17 or later, and Maven the first time, when it fetches 43 MB. Ctrl-C ends it.

  --port N     where it listens (default: ${PORT})
  --keep DIR   keeps its data in this folder, and takes up what is in there; without it the
               data goes when it ends
  --json       prints JSON lines on a terminal, too

On another terminal:

  KAFKA_HOSTS=127.0.0.1:${PORT} npm start
`;

await runCommand({
  help: HELP,
  options: { port: { type: 'string' }, keep: { type: 'string' } },
  async run({ values, positionals, output }) {
    if (positionals.length > 0) throw new UsageError('kafka takes no arguments; --help shows more');
    const port = readPort(values.port ?? `${PORT}`);
    const dir = values.keep === undefined ? await newRunFolder() : resolve(values.keep);
    const end = untilAskedToEnd();
    try {
      output.line(output.paint('dim', `its data is in ${dir}`));
      const broker = await startKafka({
        dir,
        port,
        report: (line) => process.stderr.write(`${line}\n`),
        onEnd: end.fail,
      });
      output.line(`KAFKA_HOSTS=${broker.hosts}`);
      output.record({ KAFKA_HOSTS: broker.hosts, pid: broker.pid, dir });
      output.line(output.paint('dim', 'Ctrl-C ends it.'));
      await end.asked.finally(() => broker.stop());
    } finally {
      if (values.keep === undefined) await removeFolder(dir);
    }
  },
});

function readPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new UsageError(`--port is "${text}": it takes a port, 1 to 65535`);
  return port;
}

/** `asked` resolves with a signal or with the end of this process's parent, and rejects after `fail`. */
function untilAskedToEnd(): { readonly asked: Promise<void>; fail(problem: string): void } {
  const { promise, resolve: ask, reject } = withResolvers();
  const parent = process.ppid;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, ask);
  const poll = setInterval(() => {
    if (process.ppid !== parent) ask();
  }, PARENT_POLL_MS);
  poll.unref();
  promise.catch(() => {}).finally(() => clearInterval(poll));
  return { asked: promise, fail: (problem) => reject(new Error(problem)) };
}

function withResolvers() {
  let settle: { resolve(): void; reject(error: Error): void } | undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return {
    promise,
    resolve: () => settle?.resolve(),
    reject: (error: Error) => settle?.reject(error),
  };
}
