/**
 * What a process hears of a tail: late, some of it twice, and for a while nothing at all. What it hears for the first
 * time comes in the order of each partition.
 */
import type { Clock } from '../../src/clock.ts';
import type { LogRecord } from '../../src/storage/event-log.ts';
import type { Random } from './random.ts';

export interface TailWeather {
  /** Milliseconds at most until a record is heard of. */
  readonly delayMsMax: number;
  /** How likely records are to come again, later. */
  readonly repeats: number;
  /** Nothing is heard from the one moment to the other (monotonic). */
  readonly silent: { readonly fromMs: number; readonly untilMs: number } | undefined;
}

export class SimTail {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #weather: TailWeather;
  readonly #onRecords: (records: readonly LogRecord[]) => void;
  /** By topic and partition: when its newest record is heard of. */
  readonly #dueMs = new Map<string, number>();

  constructor(
    clock: Clock,
    random: Random,
    weather: TailWeather,
    onRecords: (records: readonly LogRecord[]) => void,
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#weather = weather;
    this.#onRecords = onRecords;
  }

  /** Records that the log has taken. */
  receive(records: readonly LogRecord[]): void {
    const { repeats } = this.#weather;
    const byPartition = new Map<string, LogRecord[]>();
    for (const record of records) {
      const name = `${record.topic} ${record.partition}`;
      const own = byPartition.get(name);
      if (own) own.push(record);
      else byPartition.set(name, [record]);
    }
    for (const [name, own] of byPartition) {
      const dueMs = Math.max(this.#dueMs.get(name) ?? 0, this.#soonMs(this.#clock.monotonic()));
      this.#dueMs.set(name, dueMs);
      this.#tell(own, dueMs);
      if (repeats > 0 && this.#random.chance(repeats)) this.#tell(own, this.#soonMs(dueMs));
    }
  }

  #soonMs(fromMs: number): number {
    const { delayMsMax, silent } = this.#weather;
    const atMs = fromMs + this.#random.int(0, delayMsMax);
    return silent && atMs >= silent.fromMs && atMs < silent.untilMs ? silent.untilMs : atMs;
  }

  #tell(records: readonly LogRecord[], atMs: number): void {
    this.#clock.after(atMs - this.#clock.monotonic(), () => this.#onRecords(records));
  }
}
