/** Deliberate defects: each has to be found by the simulation. The texts stand exactly once in their files. */

export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly search: string;
  readonly replacement: string;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'what is cached is believed after a partition was taken',
    file: 'src/actors/session.ts',
    search: 'this.#dispatcher.distrust();',
    replacement: '',
  },
  {
    name: 'no epoch check',
    file: 'test/simulation/sim-store.ts',
    search: 'if (this.#row(key).epoch !== epoch) {',
    replacement: 'if (this.#row(key).epoch < epoch) {',
  },
  {
    name: 'folded set ignored',
    file: 'src/actors/lane.ts',
    search: 'return offset < this.#options.foldedBelow || inRanges(this.#options.folded, offset);',
    replacement: 'return offset < this.#options.foldedBelow;',
  },
  {
    name: 'pruned one too far',
    file: 'src/actors/session.ts',
    search: 'foldedBelow: part.ledger.lowEnd,',
    replacement: 'foldedBelow: part.ledger.lowEnd + 1,',
  },
  {
    name: 'commit one offset too far',
    file: 'src/actors/committer.ts',
    search: 'await this.#commit(offset);',
    replacement: 'await this.#commit(offset + 1);',
  },
  {
    name: 'refused merge kept in memory',
    file: 'src/actors/flusher.ts',
    search: 'flushed.push({ handle, routed, saved });',
    replacement: `{
        const known = parts[index]?.work.folded.known ?? saved.folded.known;
        flushed.push({ handle, routed, saved: { ...saved, folded: { ...saved.folded, known } } });
      }`,
  },
  {
    name: 'absorb before yield',
    file: 'src/actors/person-actor.ts',
    search: "return awaited.size > 0 || (life.is('folding') && kind !== 'slice');",
    replacement: "return life.is('folding') && kind !== 'slice';",
  },
  {
    name: 'one id of a merge not moved (by the fold)',
    file: 'src/person/draft.ts',
    search: 'ids.set(id, this.#survivorOf(uuid))',
    replacement: 'ids.set(id, ids.size === 0 ? uuid : this.#survivorOf(uuid))',
  },
  {
    name: 'one id of a merge not moved (by the store)',
    file: 'test/simulation/sim-save.ts',
    search: 'of store.idsOf(source)) {',
    replacement: 'of store.idsOf(source).slice(0, 1)) {',
  },
  {
    name: 'a list of unfinished offsets that was changed is believed',
    file: 'src/actors/past.ts',
    search: 'if (isWhole && replayFrom === undefined) return progress;',
    replacement: 'if (replayFrom === undefined) return progress;',
  },
  {
    name: 'unfinished list lost and treated as empty',
    file: 'src/actors/ledger.ts',
    search: 'for (const { from, to } of progress.unfinished) {',
    replacement: 'for (const { from, to } of progress.unfinished.slice(0, 0)) {',
  },
  {
    name: 'row produced before its save is committed',
    file: 'src/actors/session.ts',
    search: 'save: (works) => this.#inTurn(() => store.save([...this.#parts.values()].map(epochOf), works)),',
    replacement: `save: (works) => {
        const messages = works.flatMap(({ folded, records }) =>
          folded.outcomes.flatMap((outcome, index) => {
            const at = records[index];
            if (outcome.kind !== 'row' || at === undefined) return [];
            return {
              topic: 'clickhouse_events_json' as const,
              key: null,
              value: outcome.row,
              headers: { source: \`\${at.partition}:\${at.offset}\` },
              timestamp: clock.now(),
            };
          }),
        );
        this.#outbox.push({ messages, finishes: [], bulk: undefined });
        return this.#inTurn(() => store.save([...this.#parts.values()].map(epochOf), works));
      },`,
  },
  {
    name: 'mapping version 0 for a foreign uuid',
    file: 'src/person/draft.ts',
    search: 'version: isDerived ? 0 : 1',
    replacement: 'version: isDerived ? 0 : 0',
  },
  {
    name: 'group without version',
    file: 'src/person/group.ts',
    search: 'version: group.version + 1',
    replacement: 'version: group.version',
  },
  {
    name: 'held event lost at restart',
    file: 'src/actors/ledger.ts',
    search: 'unfinished: toRanges(this.#unfinished.keys()),',
    replacement:
      'unfinished: toRanges([...this.#unfinished.keys()].filter((offset) => !this.#held.has(offset))),',
  },
  {
    name: 'held event released before its elder',
    file: 'src/actors/held-id.ts',
    search: 'let place = this.events.length;',
    replacement: 'let place = 0;',
  },
  {
    name: 'held event released by time in spite of a backlog',
    file: 'src/actors/hold.ts',
    search: 'if (hasCaughtUp || nowMs >= mailbox.lastMonotonicMs) this.#becomeReady(mailbox);',
    replacement: 'if (hasCaughtUp || nowMs >= mailbox.dueMonotonicMs) this.#becomeReady(mailbox);',
  },
  {
    name: '$set_once that overwrites',
    file: 'src/person/properties.ts',
    search: 'if ((ownValue(current, key) ?? null) === null) note(',
    replacement: 'note(',
  },
  {
    name: 'a dead letter counted as a row',
    file: 'src/actors/messages.ts',
    search: "fate: { kind: 'dead_letter', reason: failure.reason } });",
    replacement: 'fate: ROW });',
  },
  {
    name: 'a row sent again has the time of the first one',
    file: 'src/actors/lane.ts',
    search: 'const earlier = record.offset < this.#options.takenAt ? REPEAT_EARLIER_MS : 0;',
    replacement: 'const earlier = 0 * REPEAT_EARLIER_MS;',
  },
  {
    name: 'the loader commits one offset too far',
    file: 'src/loader/lane.ts',
    search: 'subscription.commit(assignment, record.offset + 1)',
    replacement: 'subscription.commit(assignment, record.offset + 2)',
  },
  {
    name: 'the loader commits before its insert',
    file: 'src/loader/lane.ts',
    search: 'const refused = await this.#insert(batch);',
    replacement: 'await this.#commit(batch);\n      const refused = await this.#insert(batch);',
  },
  {
    name: 'no epoch check when works are saved',
    file: 'test/simulation/sim-store.ts',
    search: 'this.#checkEpochs(partitions);\n    this.#begin();\n    const { saved',
    replacement: 'this.#begin();\n    const { saved',
  },
  {
    name: 'no epoch check when progress is saved',
    file: 'test/simulation/sim-store.ts',
    search: 'this.#checkEpochs(partitions);\n    this.#begin();\n    for',
    replacement: 'this.#begin();\n    for',
  },
  {
    name: 'epoch raised after the read',
    file: 'test/simulation/sim-store.ts',
    search: `const taken = await write('acquire', () => store.take(key, firstOffset));
      return { ...taken, folded: await read('foldedOf', () => store.foldedOf(key)) };`,
    replacement: `const folded = await read('foldedOf', () => store.foldedOf(key));
      return { ...(await write('acquire', () => store.take(key, firstOffset))), folded };`,
  },
  {
    name: 'cache refreshed under unsaved work',
    file: 'src/actors/identities.ts',
    search: 'pin.heard = news;',
    replacement: `{
      this.#pins.delete(key);
      this.learn(news, news.person);
    }`,
  },
  {
    name: 'redo of less than what is connected',
    file: 'src/actors/person-actor.ts',
    search: 'message.give(state.waiting);',
    replacement: 'message.give(state.waiting.slice(0, 1));',
  },
  {
    name: 'redo of one of several',
    file: 'src/actors/flusher.ts',
    search: 'if (broken.length > 0) onBroken(broken);',
    replacement: 'if (broken.length > 0) onBroken(broken.slice(0, 1));',
  },
  {
    name: 'redo without reload',
    file: 'src/actors/identities.ts',
    search: 'this.#unpin(key);\n    this.#known.delete(key);',
    replacement: 'this.#unpin(key);',
  },
  {
    name: 'redo out of order',
    file: 'src/actors/dispatcher.ts',
    search: 'this.#queue = [...this.#taken.toSorted(inLogOrder), ...this.#queue];',
    replacement: 'this.#queue = [...this.#taken.toReversed(), ...this.#queue];',
  },
  {
    name: 'dispatching during a redo',
    file: 'src/actors/dispatcher.ts',
    search: 'this.#queue = [...this.#taken.toSorted(inLogOrder), ...this.#queue];',
    replacement: 'this.#queue = [...this.#queue, ...this.#taken.toSorted(inLogOrder)];',
  },
  {
    name: 'one tombstone hop only',
    file: 'src/actors/persons.ts',
    search: 'while (leader.joinedTo) leader = leader.joinedTo;',
    replacement: 'if (leader.joinedTo) leader = leader.joinedTo;',
  },
  {
    name: 'tail started after the first read',
    file: 'src/actors/worker.ts',
    search: 'if (isShared) this.#tail = await startTail(log, (news) => this.#session.hear(news));',
    replacement: `if (isShared)
      this.#options.clock.after(3_000, () => void startTail(log, (news) => this.#session.hear(news)));`,
  },
  {
    name: 'the tail is not heard',
    file: 'src/actors/session.ts',
    search: 'if (!this.#closed) this.#dispatcher.hear(news);',
    replacement: 'if (this.#closed) this.#dispatcher.hear(news);',
  },
  {
    name: 'row of the survivor before the rows of the merge',
    file: 'src/actors/outbox.ts',
    search: 'this.#batches.push({ batch, onSent });',
    replacement: 'this.#batches.splice(1, 0, { batch, onSent });',
  },
  {
    name: 'persons after their rows',
    file: 'src/actors/messages.ts',
    search: 'yield* this.#records;',
    replacement: 'yield* this.#records.toReversed();',
  },
];

export interface NotSimulated {
  readonly name: string;
  /** Test files that do. */
  readonly caughtBy: readonly string[];
}

/** Where the simulation has another part in place of ours, or comes there too seldom. */
export const NOT_SIMULATED: readonly NotSimulated[] = [
  {
    name: 'one tombstone hop only for ids that unsaved work stands on (the save finds out: it costs a retry)',
    caughtBy: ['test/actors/tombstones.test.ts'],
  },
  {
    name: 'fate of a merge before the last of its mappings',
    caughtBy: ['test/actors/outbox.test.ts', 'test/actors/worker-large-merge.test.ts'],
  },
  {
    name: 'locks not in order in the SQL of a save',
    caughtBy: ['test/storage/postgres-lock-order.test.ts'],
  },
  {
    name: 'no epoch check in the SQL of a save',
    caughtBy: ['test/contract/person-store.ts', 'test/storage/postgres-person-store.test.ts'],
  },
  {
    name: 'one id of a merge not moved in the SQL of a save',
    caughtBy: ['test/contract/person-store-merges.ts', 'test/storage/postgres-person-store.test.ts'],
  },
  {
    name: 'a row that ClickHouse refuses holds the others up, or has no dead letter',
    caughtBy: ['test/loader/bisect.test.ts', 'test/loader/loader.test.ts'],
  },
];
