/** Which test files this machine can run, and what the others need. */

export interface Prerequisite {
  /** Files that need it end in this. */
  readonly suffix: string;
  /** What they need, in words that fit after "needs". */
  readonly needs: string;
  isThere(): boolean;
}

/** `ci`: whether this run has to be complete. */
export const prerequisites = (ci: boolean): readonly Prerequisite[] => [
  { suffix: '.long.test.ts', needs: 'CI=true, because it takes long', isThere: () => ci },
];

export interface LeftOut {
  readonly file: string;
  readonly needs: string;
}

export interface Selection {
  readonly run: readonly string[];
  readonly leftOut: readonly LeftOut[];
}

export function select(files: readonly string[], known: readonly Prerequisite[]): Selection {
  const leftOut = files.flatMap((file) => {
    const missing = known.filter(({ suffix, isThere }) => file.endsWith(suffix) && !isThere());
    return missing.length === 0 ? [] : [{ file, needs: missing.map(({ needs }) => needs).join(' and ') }];
  });
  return { run: files.filter((file) => !leftOut.some((left) => left.file === file)), leftOut };
}
