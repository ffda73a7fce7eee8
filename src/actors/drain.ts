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
