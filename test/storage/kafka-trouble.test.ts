import t from 'tap';
import type { Logger } from '../../src/logger.ts';
import { KafkaTrouble } from '../../src/storage/kafka/trouble.ts';
import { SimClock } from '../simulation/sim-clock.ts';

const limits = { probeEveryMs: 2_000, produceQuietMs: 3_000 };

function start(probe: () => Promise<unknown>) {
  const clock = new SimClock(0);
  const lines: string[] = [];
  const say = (_fields: unknown, text: string): void => void lines.push(text);
  const logger: Logger = { debug: say, info: say, warn: say, error: say };
  const trouble = new KafkaTrouble({ clock, logger, limits, probe });
  t.teardown(() => trouble.close());
  const pass = async (ms: number): Promise<void> => {
    const untilMs = clock.monotonic() + ms;
    let more = true;
    while (more) {
      more = clock.step(untilMs);
      // The look goes on when its probe has answered.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { trouble, lines, pass };
}

void t.test('appends that fail are trouble for as long as they do, whatever else succeeds', async (t) => {
  const { trouble, lines, pass } = start(() => Promise.resolve('a cluster'));
  const seen = new Set<string | undefined>();
  for (let second = 0; second < 60; second++) {
    trouble.failed(new Error('not enough replicas'));
    // Another partition takes what it gets.
    trouble.succeeded();
    seen.add(trouble.text);
    await pass(1_000);
    seen.add(trouble.text);
  }
  t.same([...seen], ['Kafka: not enough replicas']);
  t.same(lines, ['Kafka cannot be used']);

  await pass(limits.produceQuietMs + limits.probeEveryMs);
  t.equal(trouble.text, undefined);
  t.same(lines, ['Kafka cannot be used', 'Kafka can be used again']);
});

void t.test('what only a probe has seen is over with the next one that succeeds', async (t) => {
  let isAway = true;
  const { trouble, pass } = start(() =>
    isAway ? Promise.reject(new Error('no broker answers')) : Promise.resolve('a cluster'),
  );
  await pass(limits.probeEveryMs);
  t.equal(trouble.text, 'Kafka: no broker answers');
  isAway = false;
  await pass(limits.probeEveryMs);
  t.equal(trouble.text, undefined);
});
