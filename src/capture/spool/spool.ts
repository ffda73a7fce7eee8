/**
 * Events on disk, in segments: files that only grow, and are removed as a whole once nobody needs them. An append is
 * durable (fsync) when it resolves; appends that come while the disk is busy share the next write.
 */
import type { Logger } from '../../logger.ts';
import type { AppendRecord } from '../../storage/event-log.ts';
import type { SegmentFile, SpoolFiles } from './files.ts';
import { decodeRecord, encodeRecord, scan } from './frame.ts';

export interface SpoolLimits {
  /** Bytes of all segments. */
  readonly bytesMax: number;
  readonly segmentBytesMax: number;
  readonly groupBytesMax: number;
}

/** A file that is not written any more. */
export interface Segment {
  readonly number: number;
  /** From its beginning; what may follow was never confirmed to anybody. */
  readonly bytes: number;
  readonly events: number;
  /** Arrival of its first event, milliseconds since the epoch. */
  readonly oldestMs: number;
}

export interface SpoolDepth {
  readonly events: number;
  readonly bytes: number;
  /** Arrival of the oldest event, milliseconds since the epoch. */
  readonly oldestMs: number | undefined;
}

/** The spool has reached its bound. Nothing was written. */
export class SpoolFullError extends Error {
  override readonly name = 'SpoolFullError';
}

/** The disk did not take it. */
export class SpoolFailedError extends Error {
  override readonly name = 'SpoolFailedError';
}

interface Write {
  readonly kind: 'write';
  readonly frames: readonly Buffer[];
  readonly bytes: number;
  readonly oldestMs: number;
  resolve(): void;
  reject(error: Error): void;
}

interface Seal {
  readonly kind: 'seal';
  resolve(): void;
}

interface Active {
  readonly number: number;
  readonly file: SegmentFile;
  bytes: number;
  events: number;
  oldestMs: number;
}

interface SpoolOptions {
  readonly files: SpoolFiles;
  readonly limits: SpoolLimits;
  readonly logger: Logger;
}

export class Spool {
  readonly #options: SpoolOptions;
  /** Oldest first. */
  readonly #segments: Segment[] = [];
  readonly #jobs: (Write | Seal)[] = [];
  #active: Active | undefined;
  #nextNumber = 1;
  /** Durable, over all segments. */
  #bytes = 0;
  #events = 0;
  /** Of writes that are not durable yet. */
  #queuedBytes = 0;
  #isWorking = false;
  #trouble: string | undefined;

  private constructor(options: SpoolOptions) {
    this.#options = options;
  }

  /** Takes over what an earlier process left. A record that was torn when it died was confirmed to nobody: it is cut off. */
  static async open(options: SpoolOptions): Promise<Spool> {
    const spool = new Spool(options);
    const numbers = await options.files.list();
    for (const number of numbers) await spool.#adopt(number, number === numbers.at(-1));
    spool.#nextNumber = (numbers.at(-1) ?? 0) + 1;
    return spool;
  }

  /**
   * Resolves once every record is durable. Rejects with `SpoolFullError` (nothing was written) or `SpoolFailedError`
   * (what was written counts as not written). Earlier calls come earlier in the spool.
   */
  append(records: readonly AppendRecord[]): Promise<void> {
    const { bytesMax } = this.#options.limits;
    const frames = records.map(encodeRecord);
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
    if (this.#bytes + this.#queuedBytes + bytes > bytesMax) {
      this.#trouble = `the spool is full: ${bytesMax} bytes wait for the log`;
      return Promise.reject(new SpoolFullError(this.#trouble));
    }
    return new Promise((resolve, reject) => {
      this.#queuedBytes += bytes;
      this.#add({ kind: 'write', frames, bytes, oldestMs: records[0]?.timestamp ?? 0, resolve, reject });
    });
  }

  /** What is durable. */
  depth(): SpoolDepth {
    const oldest = this.#segments[0] ?? this.#active;
    return {
      events: this.#events,
      bytes: this.#bytes,
      oldestMs: this.#events > 0 ? oldest?.oldestMs : undefined,
    };
  }

  /** Why nothing can be written at the moment, if so. */
  trouble(): string | undefined {
    return this.#trouble;
  }

  /** The oldest segment, with what was appended before this call at the latest. `undefined`: there is nothing. */
  async oldest(): Promise<Segment | undefined> {
    if (this.#segments.length === 0) {
      await new Promise<void>((resolve) => this.#add({ kind: 'seal', resolve }));
    }
    return this.#segments[0];
  }

  /** Its records, in order. `damagedBytes`: of records that cannot be read any more. */
  async read({
    number,
    bytes,
  }: Segment): Promise<{ records: readonly AppendRecord[]; damagedBytes: number }> {
    const whole = (await this.#options.files.read(number)).subarray(0, bytes);
    const { payloads, end, damagedBytes } = scan(whole);
    return { records: payloads.map(decodeRecord), damagedBytes: damagedBytes + whole.length - end };
  }

  /** Nobody needs it any more. `isKept`: but somebody may want to look at it, so the file stays under another name. */
  async remove(segment: Segment, isKept = false): Promise<void> {
    const { files, logger } = this.#options;
    const { number } = segment;
    try {
      if (!isKept) await files.remove(number);
      else
        logger.error({ path: await files.putAside(number) }, 'a file of the spool was put aside: look at it');
    } catch (error) {
      logger.error(
        { number, error: String(error) },
        'a file of the spool cannot be removed: it is sent again after a restart',
      );
    }
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    this.#count(-segment.bytes, -segment.events);
    this.#trouble = undefined;
  }

  /** What was appended before stays, and is durable. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#add({ kind: 'seal', resolve }));
  }

  async #adopt(number: number, isLast: boolean): Promise<void> {
    const { files, logger } = this.#options;
    const bytes = await files.read(number).catch((error: unknown) => {
      logger.error({ number, error: String(error) }, 'a file of the spool cannot be read: it is put aside');
    });
    if (bytes === undefined) {
      await files.putAside(number);
      return;
    }
    const { payloads, end, damagedBytes } = scan(bytes);
    const [first] = payloads;
    const torn = bytes.length - end;
    if (damagedBytes > 0 || (torn > 0 && !isLast)) {
      logger.error(
        { number, damagedBytes, torn },
        'a file of the spool is damaged: the events in those bytes are lost',
      );
    } else if (torn > 0) {
      logger.info({ number, torn }, 'cut off what was being written to the spool when its process ended');
    }
    // Of a file in the middle nothing is thrown away: it is put aside with all that is in it.
    if (isLast && torn > 0) await files.truncate(number, end);
    if (first === undefined) await (torn > 0 && !isLast ? files.putAside(number) : files.remove(number));
    else {
      const { timestamp } = decodeRecord(first);
      const length = isLast ? end : bytes.length;
      this.#segments.push({ number, bytes: length, events: payloads.length, oldestMs: timestamp });
      this.#count(length, payloads.length);
    }
  }

  #count(bytes: number, events: number): void {
    this.#bytes += bytes;
    this.#events += events;
  }

  #add(job: Write | Seal): void {
    this.#jobs.push(job);
    if (!this.#isWorking) void this.#work();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    for (let [job] = this.#jobs; job !== undefined; [job] = this.#jobs) {
      if (job.kind === 'write') await this.#write(this.#takeWrites());
      else {
        this.#jobs.shift();
        await this.#seal();
        job.resolve();
      }
    }
    this.#isWorking = false;
  }

  /** As many as one write and its fsync may have. */
  #takeWrites(): readonly Write[] {
    const group: Write[] = [];
    let bytes = 0;
    for (const job of this.#jobs) {
      if (job.kind !== 'write') break;
      bytes += job.bytes;
      if (group.length > 0 && bytes > this.#options.limits.groupBytesMax) break;
      group.push(job);
    }
    this.#jobs.splice(0, group.length);
    return group;
  }

  /** Never rejects: those who wait are told. */
  async #write(group: readonly Write[]): Promise<void> {
    const { limits, logger } = this.#options;
    const bytes = group.reduce((sum, write) => sum + write.bytes, 0);
    try {
      this.#active ??= await this.#create(group[0]?.oldestMs ?? 0);
      await this.#active.file.write(Buffer.concat(group.flatMap(({ frames }) => frames)));
      await this.#active.file.sync();
      const events = group.reduce((sum, { frames }) => sum + frames.length, 0);
      this.#active.bytes += bytes;
      this.#active.events += events;
      this.#count(bytes, events);
      this.#queuedBytes -= bytes;
      this.#trouble = undefined;
      for (const { resolve } of group) resolve();
      if (this.#active.bytes >= limits.segmentBytesMax) await this.#seal();
    } catch (error) {
      this.#queuedBytes -= bytes;
      const text = `the spool cannot be written: ${error instanceof Error ? error.message : String(error)}`;
      if (this.#trouble !== text) logger.error({ error: text }, 'events are refused');
      this.#trouble = text;
      for (const { reject } of group) reject(new SpoolFailedError(text));
      // After a failed fsync nobody knows what the disk has of this file beyond what was durable before.
      await this.#active?.file.truncate(this.#active.bytes).catch(() => {});
      await this.#seal();
    }
  }

  async #create(oldestMs: number): Promise<Active> {
    const number = this.#nextNumber++;
    return { number, file: await this.#options.files.create(number), bytes: 0, events: 0, oldestMs };
  }

  /** From now on the file is only read. */
  async #seal(): Promise<void> {
    const { files, logger } = this.#options;
    if (this.#active === undefined) return;
    const { file, number, bytes, events, oldestMs } = this.#active;
    this.#active = undefined;
    if (events > 0) this.#segments.push({ number, bytes, events, oldestMs });
    try {
      await file.close();
      if (events === 0) await files.remove(number);
    } catch (error) {
      logger.warn({ number, error: String(error) }, 'a file of the spool could not be closed');
    }
  }
}
