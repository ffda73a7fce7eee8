import fc from 'fast-check';
import t from 'tap';
import { deal, type MemberWish } from '../../src/storage/kafka/assigner.ts';

type Dealt = ReturnType<typeof deal>;

const topicsOf = (counts: readonly number[]) =>
  Object.fromEntries(counts.map((count, topic) => [`topic ${topic}`, [...Array(count).keys()]]));

/** Members that want every topic, with what they have been dealt before. */
const wishes = (memberIds: Iterable<string>, topics: readonly string[], before: Dealt): MemberWish[] =>
  [...memberIds].map((memberId) => ({ memberId, topics, owned: before.get(memberId) ?? {} }));

const sizes = (dealt: Dealt, topic?: string): number[] =>
  [...dealt.values()].map((given) =>
    Object.entries(given)
      .filter(([name]) => topic === undefined || name === topic)
      .reduce((sum, [, partitions]) => sum + partitions.length, 0),
  );

const isEven = (numbers: readonly number[]): boolean => Math.max(...numbers) - Math.min(...numbers) <= 1;

void t.test('every partition has one owner, and shares are even, of each topic and of all', async (t) => {
  const membership = fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 6 });
  const counts = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 4 });
  const property = fc.property(
    counts,
    fc.array(membership, { minLength: 1, maxLength: 5 }),
    (counts, rounds) => {
      const partitions = topicsOf(counts);
      let dealt: Dealt = new Map();
      for (const members of rounds) {
        dealt = deal(wishes(members.map(String), Object.keys(partitions), dealt), partitions);
        for (const [topic, all] of Object.entries(partitions)) {
          const owned = [...dealt.values()].flatMap((given) => given[topic] ?? []);
          if (owned.toSorted((a, b) => a - b).join() !== all.join()) return false;
          if (!isEven(sizes(dealt, topic))) return false;
        }
        if (!isEven(sizes(dealt))) return false;
        const again = deal(wishes(members.map(String), Object.keys(partitions), dealt), partitions);
        if (JSON.stringify([...again]) !== JSON.stringify([...dealt])) return false;
      }
      return true;
    },
  );
  t.doesNotThrow(() => fc.assert(property));
});

void t.test('who joins or leaves moves only the partitions that have to move', async (t) => {
  const property = fc.property(
    fc.integer({ min: 1, max: 24 }),
    fc.integer({ min: 1, max: 6 }),
    (count, members) => {
      const partitions = topicsOf([count]);
      const topics = Object.keys(partitions);
      const ids = Array.from({ length: members }, (_, index) => `${index}`);
      const before = deal(wishes(ids, topics, new Map()), partitions);
      const joined = deal(wishes([...ids, 'new'], topics, before), partitions);
      const kept = (earlier: Dealt, later: Dealt, id: string): boolean => {
        const now = later.get(id)?.['topic 0'] ?? [];
        const then = new Set(earlier.get(id)?.['topic 0']);
        return now.every((partition) => then.has(partition));
      };
      // Nobody gets anything but the new one; and who stays when it leaves keeps everything.
      const left = deal(wishes(ids, topics, joined), partitions);
      return ids.every((id) => kept(before, joined, id)) && ids.every((id) => kept(left, joined, id));
    },
  );
  t.doesNotThrow(() => fc.assert(property));
});

void t.test('a member that does not want a topic gets nothing of it', async (t) => {
  const dealt = deal(
    [
      { memberId: 'a', topics: ['one'], owned: {} },
      { memberId: 'b', topics: ['one', 'two'], owned: {} },
    ],
    { one: [0, 1], two: [0, 1] },
  );
  t.same(dealt.get('a'), { one: [0] });
  t.same(dealt.get('b'), { one: [1], two: [0, 1] });
});
