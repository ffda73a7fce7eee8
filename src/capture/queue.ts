/** Work that is done one piece after the other, in the order in which it came. */

export class Queue {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** `undefined`: `waitingMax` pieces of work wait or are being done already, and this one is not taken. */
  run<Result>(waitingMax: number, work: () => Promise<Result>): Promise<Result> | undefined {
    if (this.#waiting >= waitingMax) return undefined;
    this.#waiting++;
    const result = this.#last.then(work);
    const done = () => {
      this.#waiting--;
    };
    this.#last = result.then(done, done);
    return result;
  }
}

/** Resolves once whatever else was ready has had its turn. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
