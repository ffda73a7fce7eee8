/**
 * The log's commits of one partition: one at a time, and never backwards. They are for those who watch the log, and
 * for how long it keeps its records; where to read on is said by the progress in Postgres. So a commit that fails is
 * made up for by a later one.
 */
export class Committer {
  readonly #commit: (offset: number) => Promise<void>;
  readonly #onFailure: (error: unknown) => void;
  #wanted = 0;
  #committed = 0;
  #committing: Promise<void> | undefined;
  #isFailing = false;
  #closed = false;

  /** `onFailure`: of the first failure, and not again until a commit has been taken. */
  constructor(commit: (offset: number) => Promise<void>, onFailure: (error: unknown) => void) {
    this.#commit = commit;
    this.#onFailure = onFailure;
  }

  /** Everything below `lowEnd` is done, and that is durable. */
  reach(lowEnd: number): void {
    this.#wanted = Math.max(this.#wanted, lowEnd);
    this.again();
  }

  /** Tries again what has failed, if anything. */
  again(): void {
    if (this.#closed || this.#wanted <= this.#committed || this.#committing !== undefined) return;
    this.#committing = this.#run(this.#wanted);
  }

  /** Resolves once nothing is being committed. */
  async settled(): Promise<void> {
    await this.#committing;
  }

  close(): void {
    this.#closed = true;
  }

  async #run(offset: number): Promise<void> {
    try {
      await this.#commit(offset);
      this.#committed = offset;
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#onFailure(error);
      this.#isFailing = true;
    }
    this.#committing = undefined;
  }
}
