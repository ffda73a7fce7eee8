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
  /** What must not be, as sentences, once it is over. */
  problems(seen: Seen): string[];
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

/** Every outcome is one of these. */
export function only(seen: Seen, outcomes: readonly string[]): string[] {
  const others = Object.keys(seen).filter((outcome) => !outcomes.includes(outcome));
  return others.map((outcome) => `${seen[outcome]} times ${outcome}, which must not be`);
}

/** Each of these has been seen. */
export function needs(seen: Seen, outcomes: readonly string[]): string[] {
  return outcomes.filter((outcome) => !seen[outcome]).map((outcome) => `never ${outcome}, which must be`);
}
