/**
 * Where new events go.
 *
 *     direct     to the log
 *     spooling   to the disk; what is there goes to the log as soon as that takes it, oldest first
 *     switching  nowhere yet: they wait until the log has the little that is left on the disk
 *
 *     direct -> spooling      the log refused an append, or took too long for one
 *     spooling -> switching   the log has taken all but little
 *     switching -> direct     it has taken everything: those that wait go to the log, in order
 *     switching -> spooling   that took too long: those that wait go to the disk, in order
 *
 * It begins in spooling when an earlier process left something on the disk, else in direct.
 */
export type SpoolMode = 'direct' | 'spooling' | 'switching';

const MOVES: Readonly<Record<SpoolMode, readonly SpoolMode[]>> = {
  direct: ['spooling'],
  spooling: ['switching'],
  switching: ['direct', 'spooling'],
};

export class SpoolLifecycle {
  #mode: SpoolMode;

  constructor(isDiskEmpty: boolean) {
    this.#mode = isDiskEmpty ? 'direct' : 'spooling';
  }

  get mode(): SpoolMode {
    return this.#mode;
  }

  move(to: SpoolMode): void {
    if (!MOVES[this.#mode].includes(to)) throw new Error(`The spool cannot go from ${this.#mode} to ${to}.`);
    this.#mode = to;
  }
}
