/** The modes of something that lives, and its moves. A move that is not listed is a broken invariant. */

export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

export function invariant(holds: boolean, message: string): asserts holds {
  if (!holds) throw new InvariantError(message);
}

export type Moves<Mode extends string> = { readonly [From in Mode]: readonly Mode[] };

export class Lifecycle<Mode extends string> {
  readonly #name: string;
  readonly #moves: Moves<Mode>;
  #mode: Mode;

  constructor(name: string, moves: Moves<Mode>, initial: Mode) {
    this.#name = name;
    this.#moves = moves;
    this.#mode = initial;
  }

  get mode(): Mode {
    return this.#mode;
  }

  is(...modes: readonly Mode[]): boolean {
    return modes.includes(this.#mode);
  }

  move(to: Mode): void {
    invariant(this.#moves[this.#mode].includes(to), `${this.#name} cannot go from ${this.#mode} to ${to}`);
    this.#mode = to;
  }
}
