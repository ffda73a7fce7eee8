/**
 * Everything that the worker holds in memory, from one recovery to the next: lanes, dispatcher, persons, flusher and
 * outbox, put together. A session is never mended: when something fails it is closed, and the next one replays.
 */
import type { Clock } from '../clock.ts';
import type { DerivePersonUuid } from '../event/ids.ts';
import type { LIMITS } from '../limits.ts';
import type { Logger } from '../logger.ts';
import { groupKey } from '../person/group.ts';
import type { Assignment, EventLog, LogRecord, TopicPartition } from '../storage/event-log.ts';
import type { FoldedRange, PersonStore } from '../storage/person-store.ts';
import type { TeamStore } from '../storage/team-store.ts';
import { INGESTION_TOPIC } from '../storage/topics.ts';
import { type Acquisition, acquire } from './acquire.ts';
import type { ActorSystem } from './actor-system.ts';
import { Committer } from './committer.ts';
import { Dispatcher } from './dispatcher.ts';
import { drain } from './drain.ts';
import type { Duplicates } from './duplicates.ts';
import type { Entry } from './entry.ts';
import { type Flushed, Flusher } from './flusher.ts';
import { Groups } from './groups.ts';
import { Hold } from './hold.ts';
import type { HoldReport } from './hold-report.ts';
import type { HoldWatch } from './hold-watch.ts';
import { Identities } from './identities.ts';
import type { Standing } from './lag-watch.ts';
import { Lane } from './lane.ts';
import type { Ledger } from './ledger.ts';
import { type MessageOptions, Messages } from './messages.ts';
import { type Finish, Outbox } from './outbox.ts';
import { epochOf, type Part } from './part.ts';
import { personWork } from './person-work.ts';
import { type PersonHandle, Persons } from './persons.ts';
import { type Memory, settle } from './settle.ts';
import type { News } from './tail.ts';
import type { Transform } from './transforms.ts';
import { Turn } from './turn.ts';
import { Unsent } from './unsent.ts';
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
  readonly holdMs: number;
  readonly holdBytesMax: number;
  readonly holdWatch: HoldWatch;
  readonly transforms: readonly Transform[];
  readonly derivePersonUuid: DerivePersonUuid;
  /** What is remembered of a partition for as long as it is ours. */
  readonly duplicates: (partition: number) => Duplicates;
  readonly messages: MessageOptions;
  readonly metrics: WorkerMetrics;
  readonly pause: (at: TopicPartition) => void;
  readonly resume: (at: TopicPartition) => void;
  readonly commit: (assignment: Assignment, offset: number) => Promise<void>;
  readonly onFailure: (error: unknown) => void;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #parts = new Map<number, Part>();
  readonly #memory: Memory;
  readonly #hold: Hold;
  readonly #dispatcher: Dispatcher;
  readonly #flusher: Flusher;
  readonly #outbox: Outbox;
  /** Saves and progress touch the partitions' rows one after another. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #beganAtMs: number;
  #savedAtMs: number;
  #hasFinished = false;
  /** Too many bytes are in flight. */
  #isHeavy = false;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#beganAtMs = options.clock.monotonic();
    this.#savedAtMs = this.#beganAtMs;
    const { clock, logger, limits, store, system, derivePersonUuid } = options;
    const onFailure = (error: unknown) => this.#fail(error);
    this.#memory = {
      identities: new Identities(limits.identityCacheBytesMax),
      persons: new Persons(system, options.personCacheBytesMax, derivePersonUuid),
      groups: new Groups(limits.groupTypesCachedMax, limits.groupCacheBytesMax),
    };
    this.#hold = this.#makeHold();
    this.#outbox = new Outbox({
      log: options.log,
      clock,
      logger,
      appendRecordsMax: limits.appendRecordsMax,
      batchesMax: limits.outboxBatchesMax,
      bulkMax: limits.outboxBulkMax,
      bulkPartMax: limits.outboxBulkPartMax,
      backoffMinMs: limits.recoverBackoffMinMs,
      backoffMaxMs: limits.recoverBackoffMaxMs,
      onSent: (finishes) => this.#finish(finishes),
    });
    this.#flusher = new Flusher({
      clock,
      eventsMax: limits.flushEventsMax,
      bytesMax: limits.flushBytesMax,
      turnEventsMax: limits.turnEventsMax,
      lingerMs: limits.flushLingerMs,
      foldAgain: ({ work }, believed, routed) =>
        personWork(work.teamId, believed, routed, derivePersonUuid, work.checked),
      save: (works) => this.#inTurn(() => store.save([...this.#parts.values()].map(epochOf), works)),
      whenRoom: (proceed) => this.#outbox.whenRoom(proceed),
      onSaved: (flushed) => this.#saved(flushed),
      onBroken: (handles) => {
        options.metrics.brokenBeliefs.inc(handles.length);
        this.#dispatcher.redo(handles);
      },
      onFailure,
    });
    this.#dispatcher = new Dispatcher({
      ...this.#memory,
      hold: this.#hold,
      derivePersonUuid,
      store,
      clock,
      entriesMax: limits.dispatchEntriesMax,
      onDelivered: (handle, entries) => this.#delivered(handle, entries),
      onJoined: (source, target) => this.#flusher.joined(source, target),
      onRedo: (handle) => this.#flusher.forget(handle),
      onFailure,
    });
  }

  /** The partition went to somebody else while it was being taken. */
  forget(assignment: Assignment): void {
    const part = this.#parts.get(assignment.partition);
    if (part?.assignment === assignment) this.#parts.delete(assignment.partition);
  }

  /** Takes a partition; resolves with the offset at which to read on, or `undefined` where it is over before that. */
  async acquire(assignment: Assignment, isOver: () => boolean): Promise<number | undefined> {
    const acquired = await acquire(this.#options, assignment, isOver);
    if (acquired === undefined || isOver()) return undefined;
    const { past, unsent: ranges, start, ...part } = acquired;
    const unsent = new Unsent({
      ...this.#options,
      resend: (some, onSent) => this.#resend(some, onSent),
    });
    unsent.add(ranges);
    const lane = this.#lane(assignment, part.ledger, past, unsent);
    const committer = this.#committer(assignment);
    this.#parts.set(assignment.partition, { ...part, assignment, lane, committer, unsent });
    this.#dispatcher.distrust();
    committer.reach(part.ledger.lowEnd);
    return start;
  }

  receive(partition: number, records: readonly LogRecord[]): void {
    const part = this.#parts.get(partition);
    if (part === undefined) {
      this.#fail(new Error(`records of partition ${partition} came before it was taken`));
      return;
    }
    part.lane.receive(records);
    this.#relieve();
  }

  /** What the log tells of persons, ids and groups. */
  hear(news: News): void {
    if (!this.#closed) this.#dispatcher.hear(news);
  }

  standings(): readonly Standing[] {
    return [...this.#parts].map(([partition, { ledger, lane }]) => {
      const { readPosition, recordedAtMs, inFlight, held, finished } = ledger;
      return { partition, readPosition, recordedAtMs, inFlight, held, finished, pausedBy: lane.pausedBy };
    });
  }

  /** What the hold knows of an event that waits. */
  findHeld(eventUuid: string): HoldReport | undefined {
    return this.#hold.find(eventUuid);
  }

  /**
   * Saves where every partition stands, if anything has happened, and begins to commit the low ends. Where nothing has
   * happened for long it saves as well: who was fenced would not hear of it otherwise.
   */
  async saveProgress(): Promise<void> {
    const { clock, limits } = this.#options;
    await this.#inTurn(async () => {
      const isDue = clock.monotonic() - this.#savedAtMs >= limits.progressIdleEveryMs;
      const settled = [...this.#parts.values()].filter(({ unsent }) => unsent.isEmpty);
      const changed = settled.filter(({ ledger }) => ledger.changed || isDue);
      if (isDue) this.#savedAtMs = clock.monotonic();
      if (changed.length === 0) return;
      const partitions = changed.map((part) => ({
        ...epochOf(part),
        progress: part.ledger.snapshot(),
        foldedBelow: part.ledger.lowEnd,
      }));
      await this.#options.store.saveProgress(partitions);
      for (const [index, { committer }] of changed.entries()) {
        committer.reach(partitions[index]?.foldedBelow ?? 0);
      }
    });
    for (const { committer } of this.#parts.values()) committer.again();
  }

  /** Resolves once nothing is being committed. */
  async committed(): Promise<void> {
    await Promise.all([...this.#parts.values()].map(({ committer }) => committer.settled()));
  }

  /**
   * Nothing that is held goes by time any more: the next owner has it. Resolves once everything else that was received
   * has its row on the output topics, or the session is closed.
   */
  drain(): Promise<void> {
    this.#hold.close();
    const own = [...this.#parts.values()].flatMap(({ lane, unsent }) => [lane, unsent]);
    return drain([...own, this.#dispatcher, this.#flusher, this.#outbox]);
  }

  /** Something got its fate here, or nothing has had to for a while. */
  get isWell(): boolean {
    const { clock, limits } = this.#options;
    const isOld = clock.monotonic() - this.#beganAtMs >= limits.quietForMs;
    return (
      this.#hasFinished || (isOld && [...this.#parts.values()].every(({ ledger }) => ledger.taken === 0))
    );
  }

  /** Why nothing moves at the moment, if so. */
  get stalled(): string | undefined {
    const parts = [...this.#parts.values()].flatMap(({ lane, unsent }) => [lane, unsent]);
    return [...parts, this.#outbox].find(({ stalled }) => stalled !== undefined)?.stalled;
  }

  /** Drops everything that is not durable. A save under way may still happen: the next epoch waits it out. */
  close(): void {
    this.#closed = true;
    for (const { lane, committer, unsent } of this.#parts.values()) {
      lane.close();
      unsent.close();
      committer.close();
    }
    this.#hold.close();
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

  #makeHold(): Hold {
    const { clock, limits, log, holdMs, holdBytesMax, holdWatch, metrics } = this.#options;
    return new Hold({
      clock,
      holdMs,
      bytesMax: holdBytesMax,
      slotMs: limits.holdSlotMs,
      askEveryMs: limits.holdAskEveryMs,
      releasedMax: limits.releasedInFlightMax,
      ends: async () => {
        const ends = await log.offsets(INGESTION_TOPIC);
        return new Map(ends.map(({ partition, end }) => [partition, end]));
      },
      onHeld: ({ partition, offset }, until) => {
        const part = this.#parts.get(partition);
        part?.ledger.hold(offset);
        part?.lane.relieve();
        // Where all that was read is held, nothing else would say that there is room again.
        if (this.#isHeavy) this.#relieve();
        holdWatch.held(until, this.#hold.idCount, this.#hold.eventCount);
      },
      onReleased: (events, reason, by) => {
        for (const { partition, offset } of events) this.#parts.get(partition)?.ledger.release(offset);
        metrics.released(reason, events.length);
        holdWatch.released(events, reason, by);
      },
      dispatch: (events) => this.#dispatcher.resume(events),
      onFailure: (error) => this.#fail(error),
    });
  }

  #delivered(handle: PersonHandle, entries: readonly Entry[]): void {
    const bytes = entries.reduce((sum, { bytes: own }) => sum + own, 0);
    this.#flusher.note(handle, entries.length, bytes);
    if (handle.pending < this.#options.limits.inFlightPerPersonMax) return;
    for (const { partition } of entries) {
      const lane = this.#parts.get(partition)?.lane;
      lane?.hold(handle, 'person');
      handle.waitingForRoom.add(() => lane?.go(handle));
    }
  }

  #committer(assignment: Assignment): Committer {
    const { commit, logger } = this.#options;
    const { partition } = assignment;
    return new Committer(
      (offset) => commit(assignment, offset),
      (error) => logger.warn({ partition, error: String(error) }, 'the log took no commit'),
    );
  }

  #lane({ topic, partition }: Assignment, ledger: Ledger, past: Acquisition['past'], unsent: Unsent): Lane {
    const { limits, teams, clock, logger, transforms } = this.#options;
    return new Lane({
      ...past,
      partition,
      ledger,
      duplicates: this.#options.duplicates(partition),
      transforms,
      teams,
      clock,
      logger,
      inFlightMax: limits.inFlightPerPartitionMax,
      payloadBytesMax: limits.deadLetterPayloadBytesMax,
      backoffMinMs: limits.recoverBackoffMinMs,
      backoffMaxMs: limits.recoverBackoffMaxMs,
      messages: () => this.#messages(),
      submit: (entries, reached) => this.#dispatcher.submit(entries, reached),
      send: (batch) => this.#outbox.push(batch),
      resend: (ranges) => this.#resend(ranges),
      onLost: (ranges) => unsent.add(ranges),
      pause: () => this.#options.pause({ topic, partition }),
      resume: () => this.#options.resume({ topic, partition }),
      onPause: (reason) => this.#options.metrics.paused(reason),
      onFailure: (error) => this.#fail(error),
    });
  }

  #messages(): Messages {
    return new Messages(this.#options.messages, this.#options.clock.now());
  }

  /** Persons and groups that a former owner saved and may not have sent, as they are now. */
  async #resend(ranges: readonly FoldedRange[], onSent?: () => void): Promise<void> {
    const persons = new Set(ranges.flatMap((range) => range.persons));
    const groups = new Map(ranges.flatMap((range) => range.groups.map((group) => [groupKey(group), group])));
    if (persons.size + groups.size === 0) return onSent?.();
    const messages = this.#messages();
    messages.recorded(await this.#options.store.findRecorded([...persons], [...groups.values()]));
    this.#outbox.push(messages.batch, onSent);
  }

  async #saved(flushed: readonly Flushed[]): Promise<void> {
    const { clock, limits } = this.#options;
    const messages = this.#messages();
    this.#dispatcher.saved(flushed);
    const redo = await settle(flushed, this.#memory, messages, new Turn(clock, limits.turnEventsMax, 0));
    if (this.#closed) return;
    this.#options.metrics.saved(flushed);
    if (!messages.isEmpty) this.#outbox.push(messages.batch);
    if (redo.size > 0) this.#dispatcher.redo([...redo]);
  }

  #finish(finishes: readonly Finish[]): void {
    this.#hasFinished = true;
    for (const { partition, offset, fate } of finishes) {
      this.#parts.get(partition)?.ledger.finish(offset, fate);
      this.#hold.finished(partition, offset);
      this.#options.metrics.finished(fate);
    }
    for (const { lane } of this.#parts.values()) lane.relieve();
    this.#relieve();
  }

  /** Pauses every partition while too many bytes are in flight or held. */
  #relieve(): void {
    const { inFlightBytesMax } = this.#options.limits;
    let bytes = 0;
    for (const { ledger } of this.#parts.values()) bytes += ledger.bytes;
    if (bytes >= inFlightBytesMax) this.#isHeavy = true;
    else if (bytes <= inFlightBytesMax / 2) this.#isHeavy = false;
    for (const { lane } of this.#parts.values()) {
      if (this.#isHeavy) lane.hold(this, 'bytes');
      else lane.go(this);
      if (this.#hold.isFull) lane.hold(this.#hold, 'hold');
      else lane.go(this.#hold);
    }
  }
}
