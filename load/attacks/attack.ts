/** What an attack is, and what it finds out. */

export interface Attack {
  readonly name: string;
  /** For people: a phrase. */
  readonly does: string;
  /** Takes at least so long before what it `wants` can be seen. */
  readonly secondsMin?: number;
  /** Others may be refused meanwhile: there is no telling them apart. */
  readonly refusesOthers?: boolean;
  /** Until `target.isOver()`. Never rejects for what the system does to it. */
  run(target: Target): Promise<void>;
  /** Outcomes that must have been seen, if it took its time. */
  readonly needs: readonly string[];
  /** Besides those nothing else may be seen. */
  readonly allows: readonly string[];
}

export interface Target {
  readonly port: number;
  readonly token: string;
  readonly isOver: () => boolean;
  /** Counts an outcome: a status, or what became of a connection. */
  note(outcome: string): void;
  /** An event that was answered 200 has to be a row. */
  acknowledge(uuid: string): void;
}

/** Outcomes with their counts. */
export type Seen = Readonly<Record<string, number>>;

/** What must not be, as sentences, after so many seconds. */
export function problemsOf({ needs, allows, secondsMin = 0 }: Attack, seen: Seen, seconds: number): string[] {
  const missing = seconds < secondsMin ? [] : needs.filter((outcome) => !seen[outcome]);
  const others = Object.keys(seen).filter((outcome) => ![...needs, ...allows].includes(outcome));
  return [
    ...missing.map((outcome) => `never ${outcome}, which must be`),
    ...others.map((outcome) => `${seen[outcome]} times ${outcome}, which must not be`),
  ];
}
