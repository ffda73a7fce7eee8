import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import ts from 'typescript';
import { isIllegal, Oracle, type OracleEvent } from './oracle.ts';

void t.test('the oracle imports nothing, so that it can share no mistake with what it judges', async (t) => {
  const text = readFileSync(join(import.meta.dirname, 'oracle.ts'), 'utf8');
  t.same(ts.preProcessFile(text, true, true).importedFiles, []);
  t.notMatch(text, /\brequire\b|\bimport\(/);
});

let events = 0;
const event = (name: string, distinctId: string, properties: Record<string, unknown> = {}): OracleEvent => ({
  uuid: `event ${events++}`,
  name,
  distinctId,
  timestampMs: 1_000 + events,
  properties,
});

/** The persons that the ids lead to, numbered in order of appearance. */
function personsOf(ids: readonly string[], history: readonly OracleEvent[]): number[] {
  const oracle = new Oracle((id) => `of ${id}`);
  for (const one of history) oracle.fold(one);
  const uuids = ids.map((id) => oracle.ids.get(id) ?? 'nobody');
  return uuids.map((uuid) => [...new Set(uuids)].indexOf(uuid) + 1);
}

void t.test("the oracle knows PostHog's five cases of a merge and its protections", async (t) => {
  const identify = (id: string, anon: string) => event('$identify', id, { $anon_distinct_id: anon });
  const alias = (id: string, other: string) => event('$create_alias', id, { alias: other });
  const dangerously = (id: string, other: string) => event('$merge_dangerously', id, { alias: other });
  const seen = (id: string) => event('seen', id);
  t.same(personsOf(['a', 'b'], [identify('a', 'b')]), [1, 1], 'neither is known');
  t.same(personsOf(['a', 'b'], [seen('b'), identify('a', 'b')]), [1, 1], 'the other one is known');
  t.same(personsOf(['a', 'b'], [seen('a'), alias('a', 'b')]), [1, 1], 'its own one is known');
  t.same(personsOf(['a', 'b'], [seen('a'), seen('b'), identify('a', 'b')]), [1, 1], 'both are');
  const identified = [identify('a', 'x'), identify('b', 'y')];
  t.same(
    personsOf(['a', 'b'], [...identified, identify('a', 'b')]),
    [1, 2],
    'an identified one is protected',
  );
  t.same(personsOf(['a', 'b'], [...identified, dangerously('a', 'b')]), [1, 1], 'but not from everything');
  t.same(personsOf(['a', 'b'], [seen('a'), seen('b'), alias('a', 'null')]), [1, 2]);
});

void t.test('the oracle knows which ids nobody can be', async (t) => {
  for (const id of ['', ' ', 'guest', 'GUEST', '"guest"', "'null'", 'NaN', '0']) t.ok(isIllegal(id), id);
  for (const id of ['NULL', 'nan', '00', 'guest1', '"guest\'']) t.notOk(isIllegal(id), id);
});

void t.test('the oracle folds $set, $set_once and $unset as PostHog does', async (t) => {
  const oracle = new Oracle((id) => `of ${id}`);
  const properties = () => {
    const { $creator_event_uuid: _, ...rest } = oracle.personOf('a')?.properties ?? {};
    return rest;
  };
  oracle.fold(event('first', 'a', { $set: { s: 1 }, $set_once: { s: 0, o: 1 }, $unset: ['s'] }));
  t.same(properties(), { s: 1, o: 1 }, 'who had nothing has nothing to lose');
  oracle.fold(event('then', 'a', { $set: { s: 2, n: null }, $set_once: { o: 2 }, $unset: ['s', 'n'] }));
  t.same(properties(), { o: 1, n: null }, 'what was there goes, what the event brings stays');
  oracle.fold(event('last', 'a', { $set_once: { n: 3 }, $process_person_profile: true }));
  t.same(properties(), { o: 1, n: 3 }, 'null is as good as nothing');
  oracle.fold(event('never', 'a', { $set: { s: 9 }, $process_person_profile: false }));
  oracle.fold(event('$groupidentify', 'a', { $set: { s: 9 } }));
  t.same(properties(), { o: 1, n: 3 });
});
