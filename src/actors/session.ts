/**
 * Everything that the worker holds in memory, from one recovery to the next: lanes, dispatcher, persons, flusher and
 * outbox, put together. A session is never mended: when something fails it is closed, and the next one replays.
 */
import type { Clock } from '../clock.ts';
import type { DerivePersonUuid } from '../event/ids.ts';
import type { LIMITS } from '../limits.ts';
import type { Logger } from '../logger.ts';
import type { Assignment, EventLog, LogRecord, TopicPartition } from '../storage/event-log.ts';
import type { FoldedRange, PartitionSave, PersonStore, PersonWork, Saved } from '../storage/person-store.ts';
import type { TeamStore } from '../storage/team-store.ts';
import type { ActorSystem } from './actor-system.ts';
import { Dispatcher } from './dispatcher.ts';
import { Duplicates } from './duplicates.ts';
import { type Flushed, Flusher } from './flusher.ts';
import { Identities } from './identities.ts';
import { Lane } from './lane.ts';
import { Ledger } from './ledger.ts';
import { type MessageOptions, Messages } from './messages.ts';
import { type Finish, Outbox } from './outbox.ts';
import { Persons } from './persons.ts';
import type { Transform } from './transforms.ts';
import type { WorkerMetrics } from './worker-metrics.ts';

export type WorkerLimits = { readonly [Name in keyof (typeof LIMITS)['worker']]: number };

export interface SessionOptions {
  readonly log: Pick<EventLog, 'append' | 'identity' | 'offsets'>;
  readonly store: PersonStore;
  readonly teams: TeamStore;
  readonly system: ActorSystem;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: WorkerLimits;
  readonly personCacheBytesMax: number;
  readonly transforms: readonly Transform[];
  readonly derivePersonUuid: DerivePersonUuid;
  readonly messages: MessageOptions;
  readonly metrics: WorkerMetrics;
  readonly pause: (at: TopicPartition) => void;
  readonly resume: (at: TopicPartition) => void;
  readonly commit: (assignment: Assignment, offset: number) => Promise<void>;
  readonly onFailure: (error: unknown) => void;
}

interface Part {
  readonly assignment: Assignment;
  readonly logId: string;
  readonly epoch: number;
  readonly ledger: Ledger;
  readonly lane: Lane;
  committed: number;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #parts = new Map<number, Part>();
  readonly #identities: Identities;
  readonly #persons: Persons;
  readonly #dispatcher: Dispatcher;
  readonly #flusher: Flusher;
  readonly #outbox: Outbox;
  /** Saves, progress and assignments touch the partitions' rows one after another. */
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { clock, logger, limits, store, system, derivePersonUuid } = options;
    const onFailure = (error: unknown) => this.#fail(error);
    this.#identities = new Identities(limits.identityCacheBytesMax);
    this.#persons = new Persons(system, options.personCacheBytesMax, ({ teamId, uuid }, distinctId) =>
      derivePersonUuid(teamId, distinctId) === uuid ? 0 : 1,
    );
    this.#outbox = new Outbox({
      log: options.log,
      clock,
      logger,
      appendRecordsMax: limits.appendRecordsMax,
      batchesMax: limits.outboxBatchesMax,
      backoffMinMs: limits.recoverBackoffMinMs,
      backoffMaxMs: limits.recoverBackoffMaxMs,
      onSent: (finishes) => this.#finish(finishes),
    });
    this.#flusher = new Flusher({
      clock,
      eventsMax: limits.flushEventsMax,
      bytesMax: limits.flushBytesMax,
      lingerMs: limits.flushLingerMs,
      save: (works) => this.#inTurn(() => this.#save(works)),
      whenRoom: (proceed) => this.#outbox.whenRoom(proceed),
      onSaved: (flushed) => this.#saved(flushed),
      onBroken: (handles) => {
        options.metrics.brokenBeliefs.inc(handles.length);
        this.#dispatcher.redo(handles);
      },
      onFailure,
    });
    this.#dispatcher = new Dispatcher({
      identities: this.#identities,
      persons: this.#persons,
      derivePersonUuid,
      findByIds: (ids) => store.findByIds(ids),
      entriesMax: limits.dispatchEntriesMax,
      onDelivered: (handle, entries) => {
        this.#flusher.note(
          handle,
          entries.length,
          entries.reduce((bytes, { bytes: own }) => bytes + own, 0),
        );
        if (handle.pending < limits.inFlightPerPersonMax) return;
        for (const { partition } of entries) {
          const lane = this.#parts.get(partition)?.lane;
          lane?.hold(handle);
          handle.waitingForRoom.add(() => lane?.go(handle));
        }
      },
      onFailure,
    });
  }

  /** The partition went to somebody else while it was being taken. */
  forget(assignment: Assignment): void {
    const part = this.#parts.get(assignment.partition);
    if (part?.assignment === assignment) this.#parts.delete(assignment.partition);
  }

  /** Takes a partition; resolves with the offset at which to read on. */
  acquire(assignment: Assignment): Promise<number> {
    return this.#inTurn(() => this.#acquire(assignment));
  }

  receive(partition: number, records: readonly LogRecord[]): void {
    this.#parts.get(partition)?.lane.receive(records);
    this.#relieve();
  }

  /** Saves where every partition stands, if anything has happened, and commits the low ends. */
  async saveProgress(): Promise<void> {
    await this.#inTurn(async () => {
      const changed = [...this.#parts.values()].filter(({ ledger }) => ledger.changed);
      if (changed.length === 0) return;
      const partitions = changed.map((part) => ({
        ...partitionSave(part),
        foldedBelow: part.ledger.lowEnd,
      }));
      await this.#options.store.saveProgress(partitions);
      await Promise.all(
        changed.map(async (part, index) => {
          const lowEnd = partitions[index]?.foldedBelow ?? 0;
          if (this.#closed || lowEnd <= part.committed) return;
          part.committed = lowEnd;
          await this.#options.commit(part.assignment, lowEnd);
        }),
      );
    });
  }

  /** Resolves once everything received has its row on the output topics, or the session is closed. */
  async drained(): Promise<void> {
    for (const { lane } of this.#parts.values()) await lane.drained();
    await this.#dispatcher.drained();
    await this.#flusher.drained();
    await this.#outbox.drained();
  }

  /** Why nothing moves at the moment, if so. */
  get stalled(): string | undefined {
    for (const { lane } of this.#parts.values()) if (lane.stalled !== undefined) return lane.stalled;
    return this.#outbox.stalled;
  }

  /** Drops everything that is not durable. A save under way may still happen: the next epoch waits it out. */
  close(): void {
    this.#closed = true;
    for (const { lane } of this.#parts.values()) lane.close();
    this.#dispatcher.close();
    this.#flusher.close();
    this.#outbox.close();
    this.#options.system.stop();
  }

  #fail(error: unknown): void {
    if (!this.#closed) this.#options.onFailure(error);
  }

  #inTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(run);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #save(works: readonly PersonWork[]): Promise<readonly Saved[]> {
    try {
      return await this.#options.store.save(this.#partitionSaves(), works);
    } catch (error) {
      for (const { ledger } of this.#parts.values()) ledger.unsaved();
      throw error;
    }
  }

  #partitionSaves(): PartitionSave[] {
    return [...this.#parts.values()].map(partitionSave);
  }

  async #acquire(assignment: Assignment): Promise<number> {
    const { log, store } = this.#options;
    const { topic, partition } = assignment;
    const logId = log.identity();
    const ends = await log.offsets(topic);
    const own = ends.find((one) => one.partition === partition);
    const first = own?.first ?? 0;
    const acquired = await store.acquire({ logId, topic, partition }, first);
    const ledger = new Ledger(acquired.progress);
    const lane = this.#lane(assignment, ledger, {
      foldedBelow: acquired.foldedBelow,
      folded: acquired.folded,
      takenAt: own?.end ?? 0,
    });
    const start = ledger.lowEnd;
    this.#parts.set(partition, { assignment, logId, epoch: acquired.epoch, ledger, lane, committed: start });
    this.#options.logger.debug({ partition, epoch: acquired.epoch, start }, 'partition taken');
    return start;
  }

  #lane(
    { topic, partition }: Assignment,
    ledger: Ledger,
    past: { foldedBelow: number; folded: readonly FoldedRange[]; takenAt: number },
  ): Lane {
    const { limits, teams, clock, logger, transforms } = this.#options;
    return new Lane({
      ...past,
      partition,
      ledger,
      duplicates: new Duplicates(limits.duplicatesMax, limits.duplicateWindowMs),
      transforms,
      teams,
      clock,
      logger,
      inFlightMax: limits.inFlightPerPartitionMax,
      payloadBytesMax: limits.deadLetterPayloadBytesMax,
      backoffMinMs: limits.recoverBackoffMinMs,
      backoffMaxMs: limits.recoverBackoffMaxMs,
      messages: () => this.#messages(),
      submit: (entries) => this.#dispatcher.submit(entries),
      send: (batch) => this.#outbox.push(batch),
      resend: (range) => this.#resend(range),
      pause: () => this.#options.pause({ topic, partition }),
      resume: () => this.#options.resume({ topic, partition }),
      onFailure: (error) => this.#fail(error),
    });
  }

  #messages(): Messages {
    return new Messages(this.#options.messages, this.#options.clock.now());
  }

  /** Persons and mappings that a former owner saved and may not have sent, as they are now. */
  async #resend({ persons }: FoldedRange): Promise<void> {
    if (persons.length === 0) return;
    const messages = this.#messages();
    for (const person of await this.#options.store.findPersons(persons)) messages.person(person);
    this.#outbox.push(messages.batch);
  }

  #saved(flushed: readonly Flushed[]): void {
    const messages = this.#messages();
    for (const { handle, routed, folded, newIds } of flushed) {
      const mapped = new Set(newIds.map(({ distinctId }) => distinctId));
      for (const { entry, claim } of routed) {
        if (claim !== 'new') continue;
        if (mapped.has(entry.event.distinctId)) this.#identities.confirm(entry.event);
        else this.#identities.forget(entry.event);
      }
      messages.folded(
        routed.map(({ entry }) => entry),
        folded,
        newIds,
      );
      this.#persons.settle(handle, routed.length, folded.person);
    }
    this.#options.metrics.saved(flushed);
    if (!messages.isEmpty) this.#outbox.push(messages.batch);
  }

  #finish(finishes: readonly Finish[]): void {
    for (const { partition, offset, fate } of finishes) {
      this.#parts.get(partition)?.ledger.finish(offset, fate);
      this.#options.metrics.finished(fate);
    }
    for (const { lane } of this.#parts.values()) lane.relieve();
    this.#relieve();
  }

  /** Pauses every partition while too many bytes are in flight. */
  #relieve(): void {
    const { inFlightBytesMax } = this.#options.limits;
    let bytes = 0;
    for (const { ledger } of this.#parts.values()) bytes += ledger.bytes;
    for (const { lane } of this.#parts.values()) {
      if (bytes >= inFlightBytesMax) lane.hold(this);
      else if (bytes <= inFlightBytesMax / 2) lane.go(this);
    }
  }
}

function partitionSave({ assignment, logId, epoch, ledger }: Part): PartitionSave {
  const { topic, partition } = assignment;
  return { key: { logId, topic, partition }, epoch, progress: ledger.snapshot() };
}
