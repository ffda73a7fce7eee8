/** What an operator does with somebody's events, on a system that runs. */
import t from 'tap';
import { dataFolder, run, startSystem, until } from './harness.ts';

t.setTimeout(300_000);

t.test('npm run project restricts, shows and lifts, and the running system follows', async (t) => {
  const system = await startSystem(t, await dataFolder(t));
  const project = (...args: readonly string[]) =>
    run('npm', ['run', '-s', 'project', '--', ...args], { TRIBUTARY_DATA_DIR: system.dataDir });
  const send = (distinct_id: string) => system.send([{ event: 'clicked', distinct_id }]);
  const discarded = async () => (await system.ledger()).door.discarded['restriction'] ?? 0;
  await send('bot');

  const made = await project('restrict', '1', 'drop', '--distinct-id', 'bot');
  t.match(made, { code: 0, stderr: '' });
  const shown = await project('restrictions', '1');
  t.match(shown, { code: 0 });
  t.match(JSON.parse(shown.stdout), { restriction: 'drop', distinct_id: 'bot' });

  await until('an event that is dropped', async () => {
    await send('bot');
    return (await discarded()) > 0 ? true : undefined;
  });
  await send('ann');
  const books = await system.settled();
  const rows = await system.sql('SELECT distinct_id, count() AS events FROM events GROUP BY 1 ORDER BY 1');
  t.equal(rows[0]?.['distinct_id'], 'ann', "other people's events are rows");
  t.equal(
    rows.reduce((sum, { events }) => sum + Number(events), 0),
    books.rows,
  );

  t.match(await project('unrestrict', '1', 'drop', '--distinct-id', 'bot'), { code: 0 });
  const before = books.rows;
  await until('a row of who is restricted no more', async () => {
    await send('bot');
    return (await system.ledger()).rows > before ? true : undefined;
  });
  t.match(await project('unrestrict', '1', 'drop'), { code: 1, stderr: /no restriction drop on all/ });
  t.match(await project('restrict', '1', 'stop'), { code: 1, stderr: /one of drop, no_person_profile/ });
  t.match(await project('restrict', '1'), { code: 1, stderr: /give restrict ID RESTRICTION/ });
  t.match(await project('restrict', 'one', 'drop'), { code: 1, stderr: /no project's number/ });
});
