/**
 * `npm run attacks -- NAME …`: what strangers may do to the door, on a system of its own, while a client that behaves well
 * goes on. Exits with 1 if a pass line is missed.
 */
import { loadavg } from 'node:os';
import { runCommand, UsageError } from '../src/cli/command.ts';
import type { Row } from '../src/cli/terminal.ts';
import { ATTACKS } from './attacks/attacks.ts';
import { P99_MS_MAX, RSS_MIB_MAX, type UnderAttack, underAttack } from './attacks/under-attack.ts';
import { System } from './support/system.ts';

const WIDTH = Math.max(...ATTACKS.map(({ name }) => name.length));
const LIST = ATTACKS.map(({ name, does }) => `  ${name.padEnd(WIDTH)}  ${does}`).join('\n');

const HELP = `Usage: npm run attacks -- NAME … [--seconds 10] [--json]
       npm run attacks -- all

Starts a system of its own, attacks it from another process, and lets a client that behaves well
post 50 events a second meanwhile. Passed, if

  - the process lives, as the same process, with at most ${RSS_MIB_MAX} MiB resident
  - that client's p99 is at most ${P99_MS_MAX} ms, and at most 1 % of its requests are refused
  - each of its events that was answered 200 is a row in the end, and the books balance
  - the attacker got the answers that it has to get

${LIST}
`;

await runCommand({
  help: HELP,
  options: { seconds: { type: 'string', default: '10' } },
  async run({ values, positionals, output }) {
    if (positionals.length === 0) {
      process.stdout.write(HELP);
      return;
    }
    const seconds = Number(values.seconds);
    if (!(seconds > 0)) throw new UsageError('--seconds is a number of seconds');
    const unknown = positionals.filter(
      (name) => name !== 'all' && !ATTACKS.some((each) => each.name === name),
    );
    if (unknown.length > 0)
      throw new UsageError(`there is no attack ${unknown.join(', ')}. --help lists them`);
    const chosen = ATTACKS.filter(({ name }) => positionals.includes('all') || positionals.includes(name));
    const system = await System.create();
    const done: UnderAttack[] = [];
    try {
      say(`ready after ${await system.start()} ms`);
      for (const attack of chosen) {
        say(`${attack.name}: ${attack.does}`);
        const result = await underAttack(system, attack, { seconds, isJudgedFully: true });
        done.push(result);
        say(`  ${JSON.stringify(result.seen)} at the door ${JSON.stringify(result.door)}`);
        for (const line of result.problems) say(`  PROBLEM ${line}`);
      }
    } finally {
      if (output.json) for (const result of done) output.record({ ...result });
      else output.rows(done.map(toRow), 'nothing was attacked');
      await system.remove();
    }
    const missed = done.filter(({ problems }) => problems.length > 0);
    for (const { attack, problems } of missed) {
      for (const line of problems) output.line(`${output.paint('red', 'PROBLEM')} ${attack}: ${line}`);
    }
    if (missed.length === 0) output.line(output.paint('green', 'Every pass line holds.'));
    output.line(output.paint('dim', `load of the machine in the last minute: ${loadavg()[0]?.toFixed(1)}`));
    if (missed.length > 0) process.exitCode = 1;
  },
});

function toRow({ attack, seconds, good, latency, rss, problems }: UnderAttack): Row {
  return {
    attack,
    seconds,
    'good events': good.acknowledged,
    'not 200': good.sent - good.acknowledged,
    'p50 ms': latency.p50,
    'p99 ms': latency.p99,
    'max ms': latency.max,
    'rss before': rss.before,
    'rss most': rss.most,
    passed: problems.length === 0 ? 'yes' : 'NO',
  };
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
