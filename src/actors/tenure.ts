/**
 * A partition for as long as the log gives it to this worker.
 *
 * Modes: assigned  it is being taken: its epoch is raised, and its former owner's progress read
 *        taken     its records flow
 *        retaking  the session was closed; it is being taken again, by the next one
 *        draining  the worker stops: nothing more is read, what was read gets its rows
 *        revoked   it may be somebody else's: nothing of it is dispatched, written or committed any more
 * Moves: assigned → taken → retaking → taken · taken → draining · any → revoked
 */
import type { Assignment } from '../storage/event-log.ts';
import { Lifecycle, type Moves } from './lifecycle.ts';

export type TenureMode = 'assigned' | 'taken' | 'retaking' | 'draining' | 'revoked';
const MOVES: Moves<TenureMode> = {
  assigned: ['taken', 'revoked'],
  taken: ['retaking', 'draining', 'revoked'],
  retaking: ['taken', 'revoked'],
  draining: ['revoked'],
  revoked: [],
};

export interface Tenure {
  readonly assignment: Assignment;
  readonly life: Lifecycle<TenureMode>;
}

/** At most one for each partition. */
export class Tenures {
  readonly #tenures = new Map<number, Tenure>();

  begin(assignment: Assignment): Tenure {
    const tenure = { assignment, life: new Lifecycle('tenure', MOVES, 'assigned') };
    this.#tenures.set(assignment.partition, tenure);
    return tenure;
  }

  /** False: it is over already, and perhaps another one has begun. */
  end({ partition, generation }: Assignment): boolean {
    const tenure = this.#tenures.get(partition);
    if (tenure?.assignment.generation !== generation) return false;
    this.#tenures.delete(partition);
    tenure.life.move('revoked');
    return true;
  }

  in(...modes: readonly TenureMode[]): readonly Tenure[] {
    return [...this.#tenures.values()].filter(({ life }) => life.is(...modes));
  }

  /** Whether there is any, and each was taken once. */
  get areTaken(): boolean {
    return this.#tenures.size > 0 && this.in('assigned').length === 0;
  }
}
