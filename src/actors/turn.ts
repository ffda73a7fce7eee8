/**
 * A part of long work: after so many events what else there is to do goes on, and the work in the next turn of the event
 * loop.
 */
import { type Clock, sleep } from '../clock.ts';

export class Turn {
  readonly #clock: Clock;
  readonly #eventsMax: number;
  #events: number;

  /** `eventsBefore`: what this turn has done already. */
  constructor(clock: Clock, eventsMax: number, eventsBefore: number) {
    this.#clock = clock;
    this.#eventsMax = eventsMax;
    this.#events = eventsBefore;
  }

  get isOver(): boolean {
    return this.#events >= this.#eventsMax;
  }

  add(events: number): void {
    this.#events += events;
  }

  async next(): Promise<void> {
    await sleep(this.#clock, 0);
    this.#events = 0;
  }
}
