/**
 * What all workers, this one included, have changed, as the output topics tell: so that what is cached here does not
 * grow old. A message only says that there is something newer; what it is like is read again when it is needed.
 */
import { asDistinctId, asPersonUuid, asTeamId, type PersonUuid } from '../event/ids.ts';
import type { EventLog, LogRecord, TailHandle } from '../storage/event-log.ts';
import type { Identity } from '../storage/person-store.ts';
import type { Topic } from '../storage/topics.ts';

/** In the order in which they were produced. */
export interface News {
  readonly persons: readonly PersonNews[];
  readonly ids: readonly IdNews[];
  readonly groups: readonly GroupNews[];
}

/** There is, or was, a person of this version. */
export interface PersonNews {
  readonly uuid: PersonUuid;
  readonly version: number;
}

/** An id led to this person; a higher version is the newer mapping. */
export interface IdNews extends Identity {
  readonly person: PersonUuid;
  readonly version: number;
}

export interface GroupNews {
  /** As `groupKey` has it. */
  readonly key: string;
  readonly version: number;
}

const TAILED: readonly Topic[] = ['clickhouse_person', 'clickhouse_person_distinct_id', 'clickhouse_groups'];

/** Everything that is produced from now on: what is read from Postgres after this has resolved can be kept up with. */
export function startTail(log: Pick<EventLog, 'tail'>, onNews: (news: News) => void): Promise<TailHandle> {
  return log.tail(TAILED, (records) => onNews(newsIn(records)));
}

/** From keys and headers alone: nobody parses everybody's persons. */
function newsIn(records: readonly LogRecord[]): News {
  const persons: PersonNews[] = [];
  const ids: IdNews[] = [];
  const groups: GroupNews[] = [];
  for (const { topic, key, headers } of records) {
    const { team, uuid } = headers;
    const version = Number(headers['version']);
    if (key === null || !Number.isSafeInteger(version)) continue;
    if (topic === 'clickhouse_groups') groups.push({ key, version });
    else if (uuid === undefined || team === undefined) continue;
    else if (topic === 'clickhouse_person') persons.push({ uuid: asPersonUuid(uuid), version });
    else {
      const identity = { teamId: asTeamId(Number(team)), distinctId: asDistinctId(key) };
      ids.push({ ...identity, person: asPersonUuid(uuid), version });
    }
  }
  return { persons, ids, groups };
}
