/** kill -9 to the broker, and a start some time later: the door spools, nothing is lost. */
import { sleep, systemClock } from '../../src/clock.ts';
import { residentMaxMib } from '../support/resident.ts';
import { type FaultOptions, type FaultResult, onCluster } from '../support/scene.ts';

export interface KillBrokerOptions extends FaultOptions {
  readonly kills: number;
  readonly downSeconds: number;
}

const GROWTH_MIB_MAX = 250;
const BACK_MS = 60_000;
/** A request may wait; then it is answered. */
const ANSWER_MS_MAX = 15_000;

export function killBroker(options: KillBrokerOptions): Promise<FaultResult> {
  // A broker that may be killed is nobody else's.
  return onCluster({ ...options, kafkaHosts: undefined }, async (scene) => {
    const { cluster, clients, problems, report, facts, takes } = scene;
    const processes = { capture: cluster.capture, worker: cluster.workers[0], loader: cluster.loader };
    await takes(1_000);
    const before = await residentMaxMib(processes);
    for (let kill = 1; kill <= options.kills; kill++) {
      await cluster.broker.kill();
      await sleep(systemClock, options.downSeconds * 1_000);
      const { status, text } = await cluster.capture.readiness();
      if (status !== 200) problems.push(`/_ready of capture was ${status} without a broker: ${text}`);
      await cluster.broker.start();
      const startedAt = systemClock.monotonic();
      await takes(200, BACK_MS);
      const backMs = Math.round(systemClock.monotonic() - startedAt);
      report(`kill ${kill}: away ${options.downSeconds} s, 200 events taken ${backMs} ms after its start`);
    }
    await takes(1_000, BACK_MS);
    for (const [name, mib] of Object.entries(await residentMaxMib(processes))) {
      const growth = mib - (before[name] ?? 0);
      facts[`memory of ${name}`] = `${mib} MiB at most, ${growth} more than before`;
      if (growth > GROWTH_MIB_MAX) problems.push(`${name} grew by ${growth} MiB`);
    }
    const slowestMs = Math.max(...clients.map((client) => client.slowestMs));
    if (slowestMs >= ANSWER_MS_MAX) problems.push(`a request had no answer within ${slowestMs} ms`);
    facts['slowest answer'] = `${slowestMs} ms`;
    const statuses = new Map<number, number>();
    for (const client of clients) {
      for (const [status, count] of client.statuses)
        statuses.set(status, (statuses.get(status) ?? 0) + count);
    }
    facts['answers'] = [...statuses].map(([status, count]) => `${count} × ${status}`).join(', ');
  });
}
