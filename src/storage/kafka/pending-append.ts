/** One call of `append`: settled when all its records are written, when one is refused, or when its time is over. */
import type { Position } from '../event-log.ts';

export class PendingAppend {
  readonly deadline: number;
  readonly positions: Position[] = [];
  readonly #settle: { resolve(positions: readonly Position[]): void; reject(error: Error): void };
  readonly #records: number;
  readonly #signal: AbortSignal | undefined;
  #written = 0;
  #isSettled = false;

  constructor(
    records: number,
    deadline: number,
    settle: { resolve(positions: readonly Position[]): void; reject(error: Error): void },
    signal?: AbortSignal,
  ) {
    this.#records = records;
    this.deadline = deadline;
    this.#settle = settle;
    this.#signal = signal;
  }

  /** Nobody waits for it: what has not been sent need not be. */
  get isOver(): boolean {
    return this.#isSettled || this.#signal?.aborted === true;
  }

  wrote(index: number, position: Position): void {
    this.positions[index] = position;
    if (++this.#written < this.#records || this.#isSettled) return;
    this.#isSettled = true;
    this.#settle.resolve(this.positions);
  }

  reject(error: Error): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#settle.reject(error);
  }
}
