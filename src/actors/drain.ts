/** Something that events go through. */
export interface Stage {
  readonly isIdle: boolean;
  /** Resolves once it is idle. */
  drained(): Promise<void>;
}

/** Resolves once all are idle at the same time: a later one may give something back to an earlier one. */
export async function drain(stages: readonly Stage[]): Promise<void> {
  while (!stages.every(({ isIdle }) => isIdle)) {
    for (const stage of stages) await stage.drained();
  }
}

/** Those who wait until a stage is idle. */
export class Waiting {
  readonly #resolves: (() => void)[] = [];

  /** Resolves now if it is, and otherwise at the next `end`. */
  until(isIdle: boolean): Promise<void> {
    if (isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#resolves.push(resolve));
  }

  end(): void {
    for (const resolve of this.#resolves.splice(0)) resolve();
  }
}
