/** How far each consumer group has got: in memory, and durable through the group commit. */
import type { Topic } from '../topics.ts';
import type { GroupCommit } from './log-append.ts';
import type { LogStore } from './log-store.ts';

export class Commits {
  readonly #store: LogStore;
  readonly #groupCommit: GroupCommit;
  /** Topic -> group -> partition -> offset. A group that has read a topic is there, with or without commits. */
  readonly #offsets = new Map<Topic, Map<string, Map<number, number>>>();

  constructor(store: LogStore, groupCommit: GroupCommit) {
    this.#store = store;
    this.#groupCommit = groupCommit;
    for (const { key, value } of store.state.getRange()) {
      if (key[0] === 'group') this.#group(key[1], key[2]);
      else if (key[0] === 'commit') this.#group(key[1], key[2]).set(key[3], Number(value));
    }
  }

  /** Durable offsets by partition. */
  of(group: string, topic: Topic): ReadonlyMap<number, number> {
    return this.#offsets.get(topic)?.get(group) ?? new Map();
  }

  /** The groups that have ever read this topic. */
  groups(topic: Topic): readonly string[] {
    return [...(this.#offsets.get(topic)?.keys() ?? [])];
  }

  /** From now on nothing of these topics is deleted that the group has not committed past. */
  async register(group: string, topics: readonly Topic[]): Promise<void> {
    const unknown = topics.filter((topic) => !this.#offsets.get(topic)?.has(group));
    if (unknown.length === 0) return;
    await this.#groupCommit.submit({
      records: [],
      put: () => {
        for (const topic of unknown) void this.#store.state.put(['group', group, topic], true);
      },
      onDurable: () => {
        for (const topic of unknown) this.#group(group, topic);
      },
    });
  }

  async commit(group: string, topic: Topic, partition: number, offset: number): Promise<void> {
    await this.#groupCommit.submit({
      records: [],
      put: () => void this.#store.state.put(['commit', group, topic, partition], offset),
      onDurable: () => this.#group(group, topic).set(partition, offset),
    });
  }

  #group(group: string, topic: Topic): Map<number, number> {
    const groups = this.#offsets.get(topic) ?? new Map<string, Map<number, number>>();
    this.#offsets.set(topic, groups);
    const offsets = groups.get(group) ?? new Map<number, number>();
    groups.set(group, offsets);
    return offsets;
  }
}
