import t, { type Test } from 'tap';
import type { PipelineEvent } from '../../src/event/event.ts';
import { asDistinctId, asEventUuid, asPersonUuid, asTeamId } from '../../src/event/ids.ts';
import type { JsonObject } from '../../src/event/json.ts';
import { type FoldInput, foldEvents } from '../../src/person/fold.ts';
import { NO_GROUPS } from '../../src/person/group.ts';
import type { Person } from '../../src/person/person.ts';
import { STAGES } from '../../src/person/stages.ts';
import type { Work } from '../../src/person/work.ts';

const UUID = asPersonUuid('11111111-1111-5111-8111-111111111111');
const OTHER = asPersonUuid('22222222-2222-5222-8222-222222222222');

const event = (properties: JsonObject): PipelineEvent => ({
  uuid: asEventUuid('22222222-2222-7222-8222-222222222222'),
  teamId: asTeamId(1),
  distinctId: asDistinctId('ann'),
  name: 'event',
  properties,
  timestampMs: 1_700_000_000_000,
  capturedAtMs: 1_700_000_000_500,
  historicalMigration: false,
  warnings: [],
});

const PROJECT = { anonymizeIps: false, personProcessingOptOut: false };

const work = (properties: JsonObject, changes: Partial<Work> = {}): Work => ({
  event: event(properties),
  project: PROJECT,
  repeat: false,
  known: { persons: new Map(), ids: new Map() },
  overfull: new Set(),
  properties,
  elementsChain: '',
  personUuid: UUID,
  person: undefined,
  attached: [],
  mergedAway: undefined,
  groups: NO_GROUPS,
  mode: 'full',
  warnings: [],
  ...changes,
});

const person = (properties: JsonObject, createdAtMs = 0): Person => ({
  uuid: UUID,
  teamId: asTeamId(1),
  createdAtMs,
  properties,
  isIdentified: false,
  version: 4,
});

const cases: Readonly<Record<string, (t: Test, run: (work: Work) => Work) => void>> = {
  profile(t, run) {
    t.match(run(work({ $process_person_profile: true, a: 1 })), { mode: 'full', properties: { a: 1 } });
    const without = run(work({ $process_person_profile: false, $set: { a: 1 }, $unset: ['b'], c: 1 }));
    t.same(without.properties, { c: 1, $process_person_profile: false });
    t.equal(without.mode, 'propertyless');
    t.match(run(work({ $process_person_profile: 'no' })), {
      mode: 'full',
      warnings: [{ type: 'invalid_process_person_profile' }],
    });
    const optOut = { project: { ...PROJECT, personProcessingOptOut: true } };
    t.equal(run(work({}, optOut)).mode, 'propertyless', 'a project can opt out for everybody');

    const flag = { $process_person_profile: false };
    const old = { person: person({}, 1_700_000_000_000 - 60_001) };
    t.equal(run(work(flag, old)).mode, 'force_upgrade', 'there is a profile by now');
    t.equal(run(work(flag, { person: person({}, 1_700_000_000_000) })).mode, 'propertyless');
    t.equal(run(work(flag, { ...old, ...optOut })).mode, 'propertyless');
  },
  client(t, run) {
    const seen = run(work({ $browser: 'Firefox', utm_source: 'ad', other: 1, $set: { $browser: 'mine' } }));
    t.same(seen.properties, {
      $browser: 'Firefox',
      utm_source: 'ad',
      other: 1,
      $set: { $browser: 'mine', utm_source: 'ad' },
      $set_once: { $initial_browser: 'Firefox', $initial_utm_source: 'ad' },
    });
    t.same(run(work({ $os_name: 'iOS' })).properties['$set'], { $os: 'iOS' }, '$os by another name');
    t.same(run(work({ $os_name: 'iOS', $os: 'iPadOS' })).properties['$set'], { $os: 'iPadOS' });
    const server = work({ $os: 'Linux', $is_server: true });
    t.equal(run(server), server, "a server's system is not the person's");
    const plain = work({ other: 1 });
    t.equal(run(plain), plain);
    const propertyless = work({ $browser: 'Firefox' }, { mode: 'propertyless' });
    t.equal(run(propertyless), propertyless);
  },
  identity(t, run) {
    const stage = (changes: Partial<Work>, properties: JsonObject, name = '$identify') => {
      const before = work(properties, changes);
      return run({ ...before, event: { ...before.event, name } });
    };
    const anon: Person = { ...person({ a: 'anon', b: 'anon' }, 5), uuid: OTHER, version: 9 };
    const ann = person({ a: 'ann' }, 7);
    const known = (...persons: readonly Person[]) => ({
      persons: new Map(persons.map((one) => [one.uuid, one])),
      ids: new Map(persons.map((one) => [asDistinctId(one === ann ? 'ann' : 'anon'), one.uuid])),
    });
    const both = { $anon_distinct_id: 'anon' };

    const made = stage({}, both);
    t.same(
      [made.person, made.attached, made.identified],
      [undefined, ['ann', 'anon'], true],
      'two unknown ids',
    );
    const attached = stage({ person: ann, known: known(ann) }, both);
    t.match(attached, { person: { uuid: UUID, isIdentified: true }, attached: ['anon'] }, 'one known');
    t.match(stage({ known: known(anon) }, both), { personUuid: OTHER, attached: ['ann'] }, 'the other known');

    const merged = stage({ person: ann, known: known(ann, anon) }, both);
    t.match(merged, {
      mergedAway: anon,
      person: {
        uuid: UUID,
        properties: { a: 'ann', b: 'anon' },
        createdAtMs: 5,
        isIdentified: true,
        version: 9,
      },
    });
    const identified = { ...anon, isIdentified: true };
    const refused = stage({ person: ann, known: known(ann, identified) }, both);
    t.match(refused, { mergedAway: undefined, person: { isIdentified: true, properties: { a: 'ann' } } });
    t.match(refused.warnings, [{ type: 'cannot_merge_already_identified' }]);
    const alias = { alias: 'anon' };
    t.match(stage({ person: ann, known: known(ann, identified) }, alias, '$merge_dangerously'), {
      mergedAway: identified,
    });
    const overfull = { person: ann, known: known(ann, anon), overfull: new Set([OTHER]) };
    t.match(stage(overfull, alias, '$create_alias').refused, { reason: 'merge_too_large' });

    const illegal = stage({ person: ann, known: known(ann) }, { $anon_distinct_id: 'Guest' });
    t.same([illegal.person, illegal.attached], [ann, []], 'an id of a whole crowd merges with nobody');
    t.match(illegal.warnings, [{ type: 'cannot_merge_with_illegal_distinct_id', sourceId: 'Guest' }]);
    const self = work({ $anon_distinct_id: 'ann' }, { person: ann, known: known(ann) });
    t.equal(run({ ...self, event: { ...self.event, name: '$identify' } }).person, ann);
  },
  person(t, run) {
    const known = person({ $browser: 'Firefox', a: 1 });
    const volatile = run(work({ $set: { $browser: 'Safari' } }, { person: known }));
    t.equal(volatile.person, known, 'a new browser alone is not worth a write');
    t.match(volatile.shown, { properties: { $browser: 'Safari', a: 1 } }, 'but the row shows it');
    t.match(run(work({ $set: { $browser: 'Safari', a: 2 } }, { person: known })).person, {
      properties: { $browser: 'Safari', a: 2 },
    });
    t.match(run(work({ $set: { $os: 'Linux' } }, { person: known })).person, {
      properties: { $os: 'Linux' },
    });
    const about = { ...work({ $set: { $browser: 'Safari' } }, { person: known }) };
    t.match(run({ ...about, event: { ...about.event, name: '$set' } }).person, {
      properties: { $browser: 'Safari' },
    });
    const exception = {
      ...about,
      event: { ...about.event, name: '$exception' },
      properties: { $set: { a: 9 } },
    };
    t.equal(run(exception).person, known, 'an exception changes nobody');

    const created = run(work({ $set: { a: 1 }, $set_once: { a: 2, b: 3 } })).person;
    t.match(created, {
      uuid: UUID,
      version: -1,
      isIdentified: false,
      createdAtMs: 1_700_000_000_000,
      properties: { a: 1, b: 3, $creator_event_uuid: '22222222-2222-7222-8222-222222222222' },
    });
    t.equal(
      run(work({ $set: { a: 1 } }, { person: created })).person,
      created,
      'the same when nothing changes',
    );
    t.equal(run(work({}, { mode: 'propertyless' })).person, undefined);
  },
  groups(t, run) {
    const shown = [{ typeIndex: 2, key: 'acme', properties: {}, createdAtMs: undefined }];
    const groups = { shown, change: undefined, warnings: [] };
    t.same(run(work({ a: 1 }, { groups })).properties, { a: 1, $group_2: 'acme' });
    t.same(run(work({ a: 1 }, { groups, mode: 'propertyless' })).groups.shown, [], 'no profile, no groups');
  },
  ip(t, run) {
    t.same(run(work({ $ip: '203.0.113.1' })).properties, { $ip: '203.0.113.1' });
    const anonymous = { project: { ...PROJECT, anonymizeIps: true } };
    t.same(run(work({ $ip: '203.0.113.1', a: 1 }, anonymous)).properties, { a: 1 });
  },
  elements(t, run) {
    const elements = [
      { tag_name: 'a', attr__class: 'b "a"', attr__href: '/x', $el_text: 'say "hi"', nth_child: 2 },
      { tag_name: 'div', attr__id: 'main' },
      'no element',
      { tag_name: 'b', attr__id: { toString: 'no function' } },
    ];
    t.match(run(work({ $elements: elements, a: 1 })), {
      properties: { a: 1 },
      elementsChain:
        'a.a.b:attr__class="b \\"a\\""attr__href="/x"href="/x"nth-child="2"nth-of-type="0"text="say \\"hi\\"";' +
        'div:attr__id="main"attr_id="main"nth-child="0"nth-of-type="0";' +
        'b:attr__id="[object Object]"attr_id="[object Object]"nth-child="0"nth-of-type="0"',
    });
    t.match(run(work({ $elements_chain: 'a:text="x"', $elements: elements })), {
      properties: {},
      elementsChain: 'a:text="x"',
    });
  },
};

t.test('every stage of the list has a test of its name', async (t) => {
  t.same(
    Object.keys(cases),
    STAGES.map(({ name }) => name),
  );
  for (const { name, run } of STAGES) await t.test(name, async (t) => cases[name]?.(t, run));
});

t.test(
  'a fold gives one version more, whatever the number of events, and the same row again for a repeat',
  async (t) => {
    const input = (properties: JsonObject, repeat = false): FoldInput => ({
      entry: { event: event(properties), project: PROJECT, repeat },
      personUuid: UUID,
      groups: NO_GROUPS,
    });
    const options = { derivePersonUuid: () => UUID, overfull: new Set<never>() };
    const known = { persons: new Map([[UUID, person({})]]), ids: new Map([[asDistinctId('ann'), UUID]]) };
    const folded = foldEvents(known, [input({ $set: { a: 1 } }), input({ $set: { a: 2 } })], options);
    t.match(folded.written, [{ version: 5, properties: { a: 2 } }]);
    const repeated = foldEvents(folded.known, [input({ $set: { a: 1 } }, true)], options);
    t.same(repeated.written, []);
    const [outcome] = repeated.outcomes;
    t.match(JSON.parse(outcome?.kind === 'row' ? outcome.row : ''), { person_properties: '{"a":2}' });
  },
);
