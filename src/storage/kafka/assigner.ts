/**
 * Who gets which partition: balanced, and with as few moves as possible. Every member says what it has; the leader,
 * which is one of the members, deals out. The numbers of partitions differ by one at most, of each topic and of all.
 */
import kafkajs, { type Cluster, type GroupMember, type PartitionAssigner } from 'kafkajs';

export type Partitions = Readonly<Record<string, readonly number[]>>;

/** What a member tells the leader. */
interface Claim {
  /** The member it was when it got them: a member that was thrown out has none of them any more. */
  readonly memberId: string;
  readonly partitions: Partitions;
}

export interface MemberWish {
  readonly memberId: string;
  readonly topics: readonly string[];
  readonly owned: Partitions;
}

interface Hooks {
  onCluster(cluster: Cluster): void;
  /** Called before every try to join. */
  claim(): Claim;
}

export function stickyAssigner({ onCluster, claim }: Hooks): PartitionAssigner {
  const { MemberMetadata, MemberAssignment } = kafkajs.AssignerProtocol;
  return ({ cluster }) => {
    onCluster(cluster);
    return {
      name: 'tributary-sticky',
      version: 1,
      protocol({ topics }) {
        const userData = Buffer.from(JSON.stringify(claim()));
        return {
          name: this.name,
          metadata: MemberMetadata.encode({ version: this.version, topics, userData }),
        };
      },
      async assign({ members }) {
        const wishes = members.map(readWish);
        const topics = [...new Set(wishes.flatMap((wish) => wish.topics))];
        await cluster.addMultipleTargetTopics(topics);
        const partitions: Record<string, number[]> = {};
        for (const topic of topics) {
          partitions[topic] = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId);
        }
        return [...deal(wishes, partitions)].map(([memberId, assignment]) => ({
          memberId,
          memberAssignment: MemberAssignment.encode({
            version: this.version,
            assignment,
            userData: Buffer.alloc(0),
          }),
        }));
      },
    };
  };
}

function readWish({ memberId, memberMetadata }: GroupMember): MemberWish {
  const metadata = kafkajs.AssignerProtocol.MemberMetadata.decode(memberMetadata);
  const claim = JSON.parse(String(metadata?.userData ?? 'null')) as Claim | null;
  const owned = claim?.memberId === memberId ? claim.partitions : {};
  return { memberId, topics: metadata?.topics ?? [], owned };
}

/** What each member gets, by topic. */
export function deal(
  members: readonly MemberWish[],
  partitions: Partitions,
): Map<string, Record<string, number[]>> {
  // The same members in another order get the same.
  const sorted = members.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1));
  const dealt = new Map<string, Record<string, number[]>>(sorted.map(({ memberId }) => [memberId, {}]));
  const totals = new Map(sorted.map(({ memberId }) => [memberId, 0]));
  for (const topic of Object.keys(partitions).toSorted()) {
    const interested = sorted.filter(({ topics }) => topics.includes(topic));
    for (const [memberId, given] of dealTopic(topic, partitions[topic] ?? [], interested, totals)) {
      totals.set(memberId, (totals.get(memberId) ?? 0) + given.length);
      const assignment = dealt.get(memberId);
      if (assignment && given.length > 0) assignment[topic] = given.toSorted((a, b) => a - b);
    }
  }
  return dealt;
}

function dealTopic(
  topic: string,
  partitions: readonly number[],
  members: readonly MemberWish[],
  totals: ReadonlyMap<string, number>,
): Map<string, number[]> {
  const given = new Map<string, number[]>();
  if (members.length === 0) return given;
  const left = new Set(partitions);
  const owned = new Map<string, number[]>();
  for (const member of members) {
    const kept = (member.owned[topic] ?? []).filter((partition) => left.delete(partition));
    owned.set(member.memberId, kept);
  }
  const ownedCount = ({ memberId }: MemberWish): number => owned.get(memberId)?.length ?? 0;
  const total = ({ memberId }: MemberWish): number => totals.get(memberId) ?? 0;
  const least = Math.floor(partitions.length / members.length);
  // One more for those who have the fewest so far; among them, for those who can then keep more.
  const first = members.toSorted((a, b) => total(a) - total(b) || ownedCount(b) - ownedCount(a));
  const favoured = new Set(first.slice(0, partitions.length % members.length));
  for (const member of members) {
    const kept = owned.get(member.memberId) ?? [];
    for (const partition of kept.splice(least + (favoured.has(member) ? 1 : 0))) left.add(partition);
    given.set(member.memberId, kept);
  }
  const waiting = [...left].toSorted((a, b) => a - b);
  for (const member of members) {
    const kept = given.get(member.memberId) ?? [];
    kept.push(...waiting.splice(0, least + (favoured.has(member) ? 1 : 0) - kept.length));
  }
  return given;
}
