/** The process that attacks: `attacker.ts NAME PORT TOKEN MILLISECONDS` tells its parent what it has seen. */
import { setPriority } from 'node:os';
import { systemClock } from '../../src/clock.ts';
import { ATTACKS } from './attacks.ts';

/** Attackers would have machines of their own: this one waits until the others have what they need. */
const NICE = 15;

export interface AttackReport {
  readonly seen: Readonly<Record<string, number>>;
  readonly acknowledged: readonly string[];
}

const [name, port, token = '', milliseconds] = process.argv.slice(2);
const attack = ATTACKS.find((each) => each.name === name);
if (attack === undefined) throw new Error(`there is no attack ${name}`);
setPriority(NICE);

const seen: Record<string, number> = {};
const acknowledged: string[] = [];
/** The time begins when it is first asked for: what is prepared before does not count. */
let deadline: number | undefined;
const isOver = (): boolean => {
  deadline ??= systemClock.monotonic() + Number(milliseconds);
  return systemClock.monotonic() > deadline;
};
await attack.run({
  port: Number(port),
  token,
  isOver,
  note: (outcome) => {
    seen[outcome] = (seen[outcome] ?? 0) + 1;
  },
  acknowledge: (uuid) => void acknowledged.push(uuid),
});
const report: AttackReport = { seen, acknowledged };
process.send?.(report, () => process.exit(0));
