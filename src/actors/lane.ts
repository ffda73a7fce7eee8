/**
 * One partition's way in: its records are decoded, given to their project, passed through the transforms, and
 * submitted to the dispatcher in log order. What ends here has its fate before any person is looked at.
 *
 * Modes: flowing   records are read
 *        paused    too much is in flight here, or at one of its persons; what was read already goes on
 *        closed    the assignment, or the session, is over
 * Moves: flowing → paused → flowing · any → closed
 */
import { type Clock, sleep } from '../clock.ts';
import { REPLAY_HEADERS, type ReplayMode } from '../event/dead-letter.ts';
import { type Decoded, decodeCaptured, openEvent, type PipelineEvent } from '../event/event.ts';
import type { Token } from '../event/ids.ts';
import { isAboutPersons, ownFate } from '../event/own-fate.ts';
import { isRestricted } from '../event/restriction.ts';
import type { Logger } from '../logger.ts';
import type { Project } from '../person/work.ts';
import { rawPayload } from '../raw-payload.ts';
import type { LogRecord } from '../storage/event-log.ts';
import { inRanges, rangeAt } from '../storage/offset-ranges.ts';
import { type FoldedRange, type Landmark, LogReplacedError } from '../storage/person-store.ts';
import type { Team, TeamStore } from '../storage/team-store.ts';
import { Waiting } from './drain.ts';
import type { Duplicates } from './duplicates.ts';
import type { Entry, Reached } from './entry.ts';
import type { Ledger } from './ledger.ts';
import { Lifecycle, type Moves } from './lifecycle.ts';
import type { Messages } from './messages.ts';
import type { Batch } from './outbox.ts';
import { applyTransforms, type Transform } from './transforms.ts';

type Mode = 'flowing' | 'paused' | 'closed';
const MOVES: Moves<Mode> = { flowing: ['paused', 'closed'], paused: ['flowing', 'closed'], closed: [] };

export interface LaneOptions {
  readonly partition: number;
  readonly ledger: Ledger;
  readonly duplicates: Duplicates;
  /** A record that a former owner read: the log has to have it still. */
  readonly landmark: Landmark | undefined;
  /** Folded already: only its row is sent again. */
  readonly foldedBelow: number;
  readonly folded: readonly FoldedRange[];
  /** Records below it were in the log when the partition was taken: their rows may have been sent before. */
  readonly takenAt: number;
  readonly transforms: readonly Transform[];
  readonly teams: TeamStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly inFlightMax: number;
  readonly payloadBytesMax: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  readonly messages: () => Messages;
  /** Events that go on, and how far the partition has come with them. */
  readonly submit: (entries: readonly Entry[], reached: Reached) => void;
  /** Messages of records that end here. */
  readonly send: (batch: Batch) => void;
  /** Records of these ranges were folded, and their persons' rows may not have left. */
  readonly resend: (ranges: readonly FoldedRange[]) => Promise<void>;
  /** Some records left the log before they were read again: maybe some of these ranges. */
  readonly onLost: (ranges: readonly FoldedRange[]) => void;
  readonly pause: () => void;
  readonly resume: () => void;
  /** Somebody new asks for a pause, whether the partition is paused already or not. */
  readonly onPause: (reason: PauseReason) => void;
  readonly onFailure: (error: unknown) => void;
}

/** Whose bound is reached: of the records in flight of one partition or one person, of all their bytes, of the hold. */
export type PauseReason = 'partition' | 'person' | 'bytes' | 'hold';

/** A repeat's row carries a time this much earlier, so that it loses to the first. */
const REPEAT_EARLIER_MS = 1_000;

/** The event of this record was folded before, as another one. */
const ROW_ONLY: ReplayMode = 'row';

type Opened =
  | {
      readonly kind: 'event';
      readonly record: LogRecord;
      readonly event: PipelineEvent;
      readonly project: Project;
    }
  | { readonly kind: 'ended' };

export class Lane {
  readonly #options: LaneOptions;
  readonly #life = new Lifecycle<Mode>('lane', MOVES, 'flowing');
  readonly #queue: Poll[] = [];
  readonly #resent = new Set<FoldedRange>();
  /** Who asked for the pause. */
  readonly #askers = new Map<unknown, PauseReason>();
  #running = false;
  readonly #waiting = new Waiting();
  /** Why nothing moves at the moment. */
  stalled: string | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  receive(records: readonly LogRecord[]): void {
    if (this.#life.is('closed')) return;
    const last = records.at(-1);
    if (last === undefined || !this.#hasLandmark(records)) return;
    const { partition, offset, timestamp } = last;
    const { ledger, logger } = this.#options;
    const lostBefore = ledger.lost;
    const taken = records.filter((record) => ledger.take(record.offset, record.value.length));
    const lost = ledger.lost - lostBefore;
    const reached = { partition, offset, recordedAtMs: timestamp };
    this.#queue.push({ taken, reached });
    if (lost > 0) {
      logger.error({ partition, lost, before: offset }, 'records left the log before they were read');
      this.#options.onLost(this.#options.folded.filter(({ from }) => from <= offset));
    }
    this.relieve();
    void this.#run();
  }

  /** False, and a failure, where the record of that offset is another one than the one that was read before. */
  #hasLandmark(records: readonly LogRecord[]): boolean {
    const { landmark, onFailure } = this.#options;
    const record = records.find(({ offset }) => offset === landmark?.offset);
    if (landmark === undefined || record === undefined) return true;
    if (record.timestamp === landmark.recordedAtMs && uuidOf(record) === landmark.uuid) return true;
    onFailure(
      new LogReplacedError(`record ${record.offset} of partition ${record.partition} is another one`),
    );
    return false;
  }

  /** Stops reading until `go`, for the sake of `asker`. */
  hold(asker: unknown, reason: PauseReason): void {
    if (this.#life.is('closed')) return;
    if (!this.#askers.has(asker)) this.#options.onPause(reason);
    this.#askers.set(asker, reason);
    if (!this.#life.is('flowing')) return;
    this.#life.move('paused');
    this.#options.pause();
  }

  go(asker: unknown): void {
    this.#askers.delete(asker);
    if (this.#askers.size > 0 || !this.#life.is('paused')) return;
    this.#life.move('flowing');
    this.#options.resume();
  }

  /** Called when the number in flight has changed: pauses at the bound, goes on at half of it. */
  relieve(): void {
    const { ledger, inFlightMax } = this.#options;
    if (ledger.taken >= inFlightMax) this.hold(ledger, 'partition');
    else if (ledger.taken <= inFlightMax / 2) this.go(ledger);
  }

  /** Whose bounds keep it from being read. */
  get pausedBy(): readonly PauseReason[] {
    return [...new Set(this.#askers.values())];
  }

  /** What was received is submitted, or has ended here; or it has failed. */
  get isIdle(): boolean {
    return !this.#running;
  }

  /** Resolves once it is idle. */
  drained(): Promise<void> {
    return this.#waiting.until(this.isIdle);
  }

  close(): void {
    if (!this.#life.is('closed')) this.#life.move('closed');
    this.#queue.length = 0;
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let poll = this.#queue.shift(); poll !== undefined; poll = this.#queue.shift()) {
        const opening = this.#open(poll.taken);
        const entries = opening instanceof Promise ? await opening : opening;
        if (this.#life.is('closed')) break;
        this.#options.submit(entries, poll.reached);
      }
    } catch (error) {
      if (!this.#life.is('closed')) this.#options.onFailure(error);
    }
    this.#running = false;
    this.#waiting.end();
  }

  /** At once where every project is known and there are no transforms: that is the common case. */
  #open(records: readonly LogRecord[]): readonly Entry[] | Promise<readonly Entry[]> {
    const decoded = records.map((record) => ({ record, decoded: decodeCaptured(textOf(record.value)) }));
    const teams = new Map<Token, Team | undefined | 'ask'>();
    let ask = false;
    for (const one of decoded) {
      if ('malformed' in one.decoded) continue;
      const { token } = one.decoded.captured;
      if (teams.has(token)) continue;
      const team = this.#options.teams.cached(token);
      teams.set(token, team);
      if (team === 'ask') ask = true;
    }
    const unsent = this.#unsentRanges(records);
    if (!ask && unsent.length === 0 && this.#options.transforms.length === 0) {
      return this.#enter(decoded, (token) => {
        const team = teams.get(token);
        return team === 'ask' ? undefined : team;
      });
    }
    return this.#openSlowly(decoded, teams, unsent);
  }

  async #openSlowly(
    decoded: readonly DecodedRecord[],
    teams: Map<Token, Team | undefined | 'ask'>,
    unsent: readonly FoldedRange[],
  ): Promise<readonly Entry[]> {
    const asked = new Map<Token, Team | undefined>();
    for (const [token, team] of teams) asked.set(token, team === 'ask' ? await this.#team(token) : team);
    if (unsent.length > 0) await this.#options.resend(unsent);
    for (const range of unsent) this.#resent.add(range);
    const entries = this.#enter(decoded, (token) => asked.get(token));
    if (this.#options.transforms.length === 0) return entries;
    const messages = this.#options.messages();
    const kept = await applyTransforms(this.#options.transforms, entries, messages, (transform, error) =>
      this.#options.logger.warn({ transform, error: String(error) }, 'a transform failed; its event goes on'),
    );
    this.#send(messages);
    return kept;
  }

  /** Events that go on to their persons; the others end here, with a reason. */
  #enter(decoded: readonly DecodedRecord[], teamOf: (token: Token) => Team | undefined): Entry[] {
    const messages = this.#options.messages();
    const entries: Entry[] = [];
    for (const one of decoded) {
      const opened = this.#openOne(one, teamOf, messages);
      if (opened.kind === 'event') entries.push(this.#entry(opened));
    }
    const last = decoded.at(-1);
    if (last) {
      const { offset, timestamp } = last.record;
      this.#options.ledger.pass({ offset, uuid: uuidIn(last.decoded), recordedAtMs: timestamp });
    }
    this.#send(messages);
    return entries;
  }

  #openOne(
    { record, decoded }: DecodedRecord,
    teamOf: (token: Token) => Team | undefined,
    messages: Messages,
  ): Opened {
    const { duplicates, payloadBytesMax } = this.#options;
    if ('malformed' in decoded) {
      messages.deadLetter(record, {
        reason: 'malformed_record',
        stage: 'decode',
        detail: decoded.malformed,
        rawPayload: rawPayload(record.value, payloadBytesMax),
      });
      return { kind: 'ended' };
    }
    const team = teamOf(decoded.captured.token);
    if (team === undefined) {
      messages.drop(record, { kind: 'drop', reason: 'unknown_token' });
      return { kind: 'ended' };
    }
    const event = openEvent(decoded, team.id, record.timestamp);
    // Noted as folded by a save, and its row may not have left. Below `foldedBelow` its row has left, if it had one.
    const isUnsent = inRanges(this.#options.folded, record.offset);
    // What was folded was not dropped, and what is about persons had one then: it gets its row, and no other fate.
    if (!isUnsent && isRestricted(team.restrictions, 'drop', event.distinctId)) {
      messages.drop(record, { kind: 'drop', reason: 'restriction' });
      return { kind: 'ended' };
    }
    const wantsNoPerson =
      !(isUnsent && isAboutPersons(event)) &&
      isRestricted(team.restrictions, 'no_person_profile', event.distinctId);
    const project = wantsNoPerson ? { ...team, personProcessingOptOut: true } : team;
    const own = ownFate(event, project.personProcessingOptOut);
    if (own) {
      messages.warnings(event, [own.warning]);
      messages.drop(record, { kind: 'drop', reason: own.reason });
      return { kind: 'ended' };
    }
    // Asked for a folded one as well, so that it is remembered.
    const letter = record.headers[REPLAY_HEADERS.letter];
    if (duplicates.isRepeat(event, record.offset, record.timestamp, letter) && !isUnsent) {
      messages.drop(record, { kind: 'drop', reason: 'duplicate' });
      return { kind: 'ended' };
    }
    return { kind: 'event', record, event, project };
  }

  #entry({ record, event, project }: Extract<Opened, { kind: 'event' }>): Entry {
    const earlier = record.offset < this.#options.takenAt ? REPEAT_EARLIER_MS : 0;
    return {
      partition: record.partition,
      offset: record.offset,
      bytes: record.value.length,
      recordedAtMs: record.timestamp,
      seenAtMs: this.#options.clock.monotonic(),
      rowTimestampMs: record.timestamp - earlier,
      event,
      project,
      repeat: this.#isFolded(record.offset) || record.headers[REPLAY_HEADERS.mode] === ROW_ONLY,
      released: false,
    };
  }

  #isFolded(offset: number): boolean {
    return offset < this.#options.foldedBelow || inRanges(this.#options.folded, offset);
  }

  #unsentRanges(records: readonly LogRecord[]): readonly FoldedRange[] {
    const { folded, takenAt } = this.#options;
    const unsent = new Set<FoldedRange>();
    for (const { offset } of records) {
      const range = offset < takenAt ? rangeAt(folded, offset) : undefined;
      if (range !== undefined && !this.#resent.has(range)) unsent.add(range);
    }
    return [...unsent];
  }

  #send(messages: Messages): void {
    if (!messages.isEmpty) this.#options.send(messages.batch);
  }

  /** Asks until it is answered: without its project an event can neither go on nor end. */
  async #team(token: Token): Promise<Team | undefined> {
    const { teams, clock, logger, backoffMinMs, backoffMaxMs } = this.#options;
    for (let backoffMs = backoffMinMs; ; backoffMs = Math.min(backoffMs * 2, backoffMaxMs)) {
      try {
        const team = await teams.byToken(token);
        this.stalled = undefined;
        return team;
      } catch (error) {
        this.stalled = error instanceof Error ? error.message : String(error);
        logger.warn({ error: this.stalled, retryInMs: backoffMs }, 'projects cannot be read');
        await sleep(clock, backoffMs);
        if (this.#life.is('closed')) return undefined;
      }
    }
  }
}

/** Records of one poll that are not finished yet, and how far it came. */
interface Poll {
  readonly taken: readonly LogRecord[];
  readonly reached: Reached;
}

interface DecodedRecord {
  readonly record: LogRecord;
  readonly decoded: Decoded | { readonly malformed: string };
}

const uuidIn = (decoded: DecodedRecord['decoded']): string =>
  'malformed' in decoded ? '' : decoded.captured.uuid;
const uuidOf = ({ value }: LogRecord): string => uuidIn(decodeCaptured(textOf(value)));

const decoder = new TextDecoder();
const textOf = (bytes: Uint8Array): string => decoder.decode(bytes);
