/** Events that meet: two, three or four requests at the same instant, that say of the same people who is who. */
import { sleep, systemClock } from '../../src/clock.ts';
import type { LoadEvent } from './client.ts';
import type { Random } from './random.ts';
import { TortureClient } from './torture-client.ts';
import type { Join, TortureEvents } from './torture-events.ts';

/** Of some ids: which one is said to be which other one. */
const MEETINGS = {
  'the same merge twice': [
    [0, 1],
    [0, 1],
  ],
  'opposite merges': [
    [0, 1],
    [1, 0],
  ],
  chain: [
    [0, 1],
    [1, 2],
    [2, 3],
  ],
  'cycle of three': [
    [0, 1],
    [1, 2],
    [2, 0],
  ],
  'two into one': [
    [0, 1],
    [2, 1],
  ],
} as const satisfies Readonly<Record<string, readonly (readonly [number, number])[]>>;
export type RivalMeeting = keyof typeof MEETINGS;
const MEETING_NAMES = Object.keys(MEETINGS) as readonly RivalMeeting[];

const JOINS: readonly Join[] = ['$identify', '$identify', '$create_alias', '$merge_dangerously'];
const IDS = 4;
const AT_ONCE_MAX = 3;

export class Rivals {
  readonly clients: readonly TortureClient[];
  /** How often they met, by kind. */
  readonly counts: Record<RivalMeeting, number>;
  readonly #events: TortureEvents;
  readonly #random: Random;
  readonly #everyMs: number;
  #stopped = false;

  constructor(options: {
    readonly captureUrl: string;
    readonly events: TortureEvents;
    readonly random: Random;
    readonly meetingsPerSecond: number;
  }) {
    const { captureUrl, events, random, meetingsPerSecond } = options;
    this.#events = events;
    this.#random = random;
    this.#everyMs = 1_000 / meetingsPerSecond;
    const counts = { 'the same merge twice': 0, 'opposite merges': 0, chain: 0, 'cycle of three': 0 };
    this.counts = { ...counts, 'two into one': 0 };
    this.clients = Array.from(
      { length: AT_ONCE_MAX },
      () => new TortureClient({ captureUrl, random, events, batch: 1, eventsPerSecond: 1, isPatient: true }),
    );
  }

  /** They meet until `stop`. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const name = MEETING_NAMES[this.#random.integer(MEETING_NAMES.length)] ?? 'opposite merges';
      const posted = this.#meet(name).map((event, index) => this.clients[index]?.deliver([event]));
      await Promise.all(posted);
      this.counts[name] += 1;
      await sleep(systemClock, 2 * this.#random.next() * this.#everyMs);
    }
    for (const client of this.clients) client.close();
  }

  stop(): void {
    this.#stopped = true;
    for (const client of this.clients) client.stop();
  }

  #meet(name: RivalMeeting): readonly LoadEvent[] {
    const ids = this.#events.ids(IDS);
    const join = JOINS[this.#random.integer(JOINS.length)] ?? '$identify';
    return MEETINGS[name].map(([own, other]) => this.#events.joining(join, ids[own] ?? '', ids[other] ?? ''));
  }
}
