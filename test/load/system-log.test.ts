import t from 'tap';
import { System } from '../../load/support/system.ts';

t.setTimeout(120_000);

t.test('a line that no logger wrote is found, wherever the log is kept', async (t) => {
  const system = await System.create({ LOG_LEVEL: 'loud' });
  t.teardown(() => system.remove());
  system.launch();
  await t.rejects(system.ready(), /LOG_LEVEL is "loud"/);
  t.match(await system.strayLines(), [/LOG_LEVEL is "loud"/]);
});
