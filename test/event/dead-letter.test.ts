import fc from 'fast-check';
import t from 'tap';
import { letterPayload, type Revival, revive } from '../../src/event/dead-letter.ts';
import { decodeCaptured, openEvent, type PipelineEvent } from '../../src/event/event.ts';
import { asPersonUuid, asTeamId, asToken } from '../../src/event/ids.ts';
import { DEAD_LETTER_REASONS } from '../../src/event/outcome.ts';
import { derivePersonUuid } from '../../src/ids.ts';
import { foldEvents } from '../../src/person/fold.ts';
import { NO_GROUPS } from '../../src/person/group.ts';
import { rawPayload } from '../../src/raw-payload.ts';
import { captured, oddBodies } from '../support/odd-events.ts';

const TEAM = asTeamId(7);
const TOKEN = asToken('phc_test');
const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const PERSON = asPersonUuid('11111111-1111-5111-8111-111111111111');

function opened(text: string, takenAtMs: number): PipelineEvent {
  const decoded = decodeCaptured(text);
  if ('malformed' in decoded) throw new Error(decoded.malformed);
  return openEvent(decoded, TEAM, takenAtMs);
}

/** The event of the record that goes back. */
function again(revival: Revival): PipelineEvent {
  if ('impossible' in revival) throw new Error(revival.impossible);
  return opened(JSON.stringify(revival.captured), revival.recordedAtMs);
}

const events = (bodies: readonly string[]): readonly PipelineEvent[] =>
  captured(bodies, TOKEN, NOW).map(({ value }) => opened(String(value), NOW));

/** As text: -0 and 0 are the same in JSON. What was warned about is not warned about again. */
const textOf = ({ warnings: _warnings, ...event }: PipelineEvent): string => JSON.stringify(event);

function rowOf(event: PipelineEvent): string {
  const entry = { event, project: { anonymizeIps: true, personProcessingOptOut: false }, repeat: true };
  const known = { persons: new Map(), ids: new Map() };
  const options = { derivePersonUuid, overfull: new Set<never>() };
  const [outcome] = foldEvents(known, [{ entry, personUuid: PERSON, groups: NO_GROUPS }], options).outcomes;
  if (outcome?.kind !== 'row') throw new Error('there is no row');
  return outcome.row;
}

t.test('the event of a dead letter opens again as it was, at its time', async (t) => {
  let seen = 0;
  fc.assert(
    fc.property(oddBodies(4), (bodies) => {
      for (const event of events(bodies)) {
        seen += 1;
        const revival = revive('stage_failed', letterPayload(event, NOW - 1), TOKEN);
        if (textOf(again(revival)) !== textOf(event)) return false;
        if ('impossible' in revival || revival.recordedAtMs !== NOW - 1 || revival.mode !== 'fold')
          return false;
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.ok(seen > 500, `${seen} events`);
});

t.test('the event of a row that ClickHouse refused gives the same row again', async (t) => {
  let seen = 0;
  fc.assert(
    fc.property(oddBodies(4), (bodies) => {
      for (const event of events(bodies)) {
        seen += 1;
        const row = rowOf(event);
        const revival = revive('refused_by_clickhouse', row, TOKEN);
        if (rowOf(again(revival)) !== row) return false;
        if ('impossible' in revival || revival.recordedAtMs !== NOW || revival.mode !== 'row') return false;
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.ok(seen > 500, `${seen} events`);
});

t.test('a dead letter that does not keep its whole event says why it cannot go back', async (t) => {
  const [event] = events(['{"event":"a","distinct_id":"ann","properties":{"text":"äöü"}}']);
  if (event === undefined) throw new Error('capture refused it');
  const payload = letterPayload(event, NOW);
  for (let bytes = 0; bytes < Buffer.byteLength(payload); bytes++) {
    const cut = rawPayload(Buffer.from(payload), bytes);
    t.match(revive('merge_too_large', cut, TOKEN), { impossible: /only its first bytes/ });
  }
  for (const reason of DEAD_LETTER_REASONS) {
    const isKept = ['stage_failed', 'merge_too_large', 'refused_by_postgres'].includes(reason);
    t.equal('impossible' in revive(reason, payload, TOKEN), !isKept, reason);
    t.match(revive(reason, '{}', TOKEN), { impossible: /./ });
    t.match(revive(reason, '"text"', TOKEN), { impossible: /./ });
    t.match(revive(reason, 'base64:AAAA', TOKEN), { impossible: /./ });
  }
  t.match(revive('of_a_later_version', payload, TOKEN), { impossible: /nobody knows/ });
});
