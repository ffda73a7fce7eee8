import t, { type Test } from 'tap';
import type { Clock } from '../../src/clock.ts';
import { systemClock } from '../../src/clock.ts';
import { asToken } from '../../src/event/ids.ts';
import { UNRESTRICTED } from '../../src/event/restriction.ts';
import { LIMITS } from '../../src/limits.ts';
import type { Postgres } from '../../src/storage/postgres/pool.ts';
import { createProject, setProject } from '../../src/storage/postgres/projects.ts';
import { restrict, unrestrict } from '../../src/storage/postgres/restrictions.ts';
import { createTeamStore } from '../../src/storage/postgres/teams.ts';
import type { TeamStore } from '../../src/storage/team-store.ts';
import { heardLogger, quietLogger } from '../../tools/suite-logs.ts';
import { withPostgres } from '../support/postgres.ts';

const TOKEN = asToken('phc_known');
const UNKNOWN = asToken('phc_unknown');

interface Stage {
  readonly teams: TeamStore;
  readonly postgres: Postgres;
  readonly projectId: number;
  /** Queries so far. */
  queries(): number;
  /** What happens to the next queries. */
  set(mode: 'works' | 'fails' | 'hangs'): void;
  advance(ms: number): void;
}

async function stage(t: Test): Promise<Stage> {
  const { postgres } = await withPostgres(t);
  const { id: projectId } = await createProject(postgres, { name: 'Known', token: TOKEN });
  let now = 0;
  let timers: { at: number; run: () => void }[] = [];
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    after(delayMs, run) {
      const timer = { at: now + delayMs, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
  };
  let queries = 0;
  let mode = 'works';
  const faulty: Postgres = {
    ...postgres,
    query(text, values) {
      queries += 1;
      if (mode === 'fails') return Promise.reject(new Error('Postgres is away'));
      if (mode === 'hangs') return new Promise(() => {});
      return postgres.query(text, values);
    },
  };
  return {
    teams: createTeamStore(faulty, clock, quietLogger),
    postgres,
    projectId,
    queries: () => queries,
    set(next) {
      mode = next;
    },
    advance(ms) {
      now += ms;
      for (const { at, run } of timers) if (at <= now) run();
    },
  };
}

t.test('a project is found by its token, an unknown token is none', async (t) => {
  const { teams, projectId, queries } = await stage(t);
  t.equal(teams.cached(TOKEN), 'ask');
  const team = {
    id: projectId,
    token: TOKEN,
    name: 'Known',
    anonymizeIps: false,
    personProcessingOptOut: false,
    restrictions: UNRESTRICTED,
  };
  t.same(await teams.byToken(TOKEN), team);
  t.same(teams.cached(TOKEN), team);
  t.equal(await teams.byToken(UNKNOWN), undefined);
  t.equal(teams.cached(UNKNOWN), undefined);
  t.equal(await teams.byToken(asToken('NUL \0')), undefined);
  t.equal(queries(), 2);
});

t.test('however many ask for however many tokens, one query runs at a time', async (t) => {
  const { teams, queries } = await stage(t);
  const tokens = Array.from({ length: 100 }, (_, index) => asToken(`phc_${index}`));
  const answers = await Promise.all(
    [TOKEN, ...tokens, TOKEN, ...tokens].map((token) => teams.byToken(token)),
  );
  t.equal(answers.filter(Boolean).length, 2);
  t.equal(queries(), 1);
  await Promise.all([TOKEN, ...tokens].map((token) => teams.byToken(token)));
  t.equal(queries(), 1, 'known and unknown ones are remembered');
});

t.test('a change shows within five seconds', async (t) => {
  const { teams, postgres, projectId, advance } = await stage(t);
  await teams.byToken(TOKEN);
  await teams.byToken(UNKNOWN);
  await setProject(postgres, projectId, { anonymize_ips: true });
  await createProject(postgres, { name: 'New', token: UNKNOWN });
  advance(5_000);
  t.equal(teams.cached(TOKEN), 'ask');
  t.match(await teams.byToken(TOKEN), { anonymizeIps: true });
  t.match(await teams.byToken(UNKNOWN), { name: 'New' });
});

t.test('while Postgres is away the last known answer stands, and strangers are not judged', async (t) => {
  const { teams, set, advance, queries } = await stage(t);
  await teams.byToken(TOKEN);
  set('fails');
  advance(60_000);
  t.match(await teams.byToken(TOKEN), { name: 'Known' });
  t.match(teams.cached(TOKEN), { name: 'Known' }, 'and is not asked for again at once');
  t.equal(queries(), 2);
  await t.rejects(teams.byToken(UNKNOWN), { message: 'Postgres is away' });
  set('works');
  t.equal(await teams.byToken(UNKNOWN), undefined);
});

t.test('a token that was unknown once is not judged by that while Postgres is away', async (t) => {
  const { teams, set, advance } = await stage(t);
  t.equal(await teams.byToken(UNKNOWN), undefined);
  set('fails');
  advance(60_000);
  await t.rejects(teams.byToken(UNKNOWN), { message: 'Postgres is away' });
});

t.test('a Postgres that does not answer counts as away', async (t) => {
  const { teams, set, advance } = await stage(t);
  await teams.byToken(TOKEN);
  set('hangs');
  advance(60_000);
  const known = teams.byToken(TOKEN);
  const unknown = teams.byToken(UNKNOWN);
  const refused = t.rejects(unknown, { message: /did not say within/ });
  advance(LIMITS.postgres.teamAskMs);
  t.match(await known, { name: 'Known' });
  await refused;
});

t.test('a project brings its restrictions along, and a change shows after 5 s', async (t) => {
  const { teams, postgres, projectId, advance } = await stage(t);
  await restrict(postgres, projectId, { restriction: 'no_person_profile', distinctId: undefined });
  await restrict(postgres, projectId, { restriction: 'drop', distinctId: 'bot' });
  await restrict(postgres, projectId, { restriction: 'overflow', distinctId: 'bot' });
  await restrict(postgres, projectId, { restriction: 'drop', distinctId: 'bot' });
  const restrictions = {
    ofAll: new Set(['no_person_profile']),
    ofIds: new Map([['bot', new Set(['drop', 'overflow'])]]),
  };
  t.same(await teams.byToken(TOKEN), { ...(await teams.byToken(TOKEN)), restrictions });
  await unrestrict(postgres, projectId, { restriction: 'no_person_profile', distinctId: undefined });
  await unrestrict(postgres, projectId, { restriction: 'drop', distinctId: 'bot' });
  advance(5_000);
  const left = { ofAll: new Set(), ofIds: new Map([['bot', new Set(['overflow'])]]) };
  t.same((await teams.byToken(TOKEN))?.restrictions, left);
});

t.test('while Postgres is away the restrictions that were known stand', async (t) => {
  const { teams, postgres, projectId, set, advance } = await stage(t);
  await restrict(postgres, projectId, { restriction: 'drop', distinctId: undefined });
  const known = await teams.byToken(TOKEN);
  t.same(known?.restrictions.ofAll, new Set(['drop']));
  set('fails');
  advance(60_000);
  t.same(await teams.byToken(TOKEN), known);
});

t.test('a project has a bounded number of restrictions, and what is beyond it has no effect', async (t) => {
  const { teams, postgres, projectId } = await stage(t);
  const { restrictionsMax } = LIMITS.postgres;
  const insert = (from: number, to: number) =>
    postgres.query(
      `INSERT INTO tributary_restriction (team_id, restriction, distinct_id)
       SELECT $1, 'drop', 'id-' || number FROM generate_series($2::int, $3::int) AS number`,
      [projectId, from, to],
    );
  await insert(1, restrictionsMax);
  const message = new RegExp(`has ${restrictionsMax} restrictions, and may have ${restrictionsMax}`);
  await t.rejects(restrict(postgres, projectId, { restriction: 'drop', distinctId: 'one more' }), {
    message,
  });
  await insert(restrictionsMax + 1, restrictionsMax + 5);
  t.equal((await teams.byToken(TOKEN))?.restrictions.ofIds.size, restrictionsMax);
});

t.test(
  'a restriction of a kind that is not known is left out, with one line however often it is read',
  async (t) => {
    const { postgres } = await withPostgres(t);
    const { id } = await createProject(postgres, { name: 'Known', token: TOKEN });
    // As a later version would leave it.
    await postgres.query(
      'ALTER TABLE tributary_restriction DROP CONSTRAINT tributary_restriction_restriction_check',
    );
    await postgres.query('INSERT INTO tributary_restriction (team_id, restriction) VALUES ($1, $2)', [
      id,
      'later',
    ]);
    await restrict(postgres, id, { restriction: 'drop', distinctId: 'bot' });
    let nowMs = 0;
    const clock = { ...systemClock, monotonic: () => nowMs };
    const warned: object[] = [];
    const warn = (fields: object): void => void warned.push(fields);
    const teams = createTeamStore(postgres, clock, heardLogger({ warn }));
    for (; nowMs < 30_000; nowMs += 5_000) {
      const restrictions = (await teams.byToken(TOKEN))?.restrictions;
      t.same(restrictions, { ofAll: new Set(), ofIds: new Map([['bot', new Set(['drop'])]]) });
    }
    t.same(warned, [{ teamId: id, restriction: 'later' }]);
  },
);

t.test('what cannot be a restriction is refused with what would do', async (t) => {
  const { postgres, projectId } = await stage(t);
  const wanted = { restriction: 'drop', distinctId: undefined };
  await t.rejects(restrict(postgres, 999, wanted), { message: 'there is no project 999' });
  await t.rejects(restrict(postgres, projectId, { ...wanted, restriction: 'dorp' }), {
    message: /there is no restriction dorp: give one of drop, no_person_profile, overflow/,
  });
  await t.rejects(restrict(postgres, projectId, { ...wanted, distinctId: '' }), { message: /1 to 200/ });
  await t.rejects(unrestrict(postgres, projectId, wanted), {
    message: `project ${projectId} has no restriction drop on all of its events`,
  });
});
