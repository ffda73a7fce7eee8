/** What k6 wrote down: which requests with events were answered, and how. See `load/k6/lib.ts` for the lines. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Books } from '../../src/books.ts';

export interface LoadRun {
  /** 12 hex digits, which begin the uuids of its events. */
  readonly id: string;
  readonly script: string;
  /** `undefined`: k6 could not see them. */
  readonly before: Books | undefined;
  readonly answers: Answers;
}

/** What is known of a request: how many events were answered 200; `REFUSED`; or 0: nobody knows what became of it. */
type Known = number;
const REFUSED = -1;
const NUMBERS_AT_FIRST = 1024;

/** Two bytes for each request. */
export class Answers {
  readonly #steps = new Map<number, Int16Array>();
  readonly #requests = new Map<number, number>();
  #acknowledged = 0;

  add(status: number, step: number, number: number, events: number): void {
    this.#requests.set(status, (this.#requests.get(status) ?? 0) + 1);
    const known = this.#room(step, number);
    if (status === 200) {
      known[number] = events;
      this.#acknowledged += events;
    } else if (status >= 400 && status < 500) known[number] = REFUSED;
  }

  /** Events that were answered 200. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Requests by the status of their answer; 0: there was none. */
  get requests(): ReadonlyMap<number, number> {
    return this.#requests;
  }

  get steps(): readonly number[] {
    return [...this.#steps.keys()].sort((a, b) => a - b);
  }

  /** No number of the step is as large. */
  below(step: number): number {
    return this.#steps.get(step)?.length ?? 0;
  }

  acknowledgedOf(step: number, number: number): number {
    return Math.max(0, this.#known(step, number));
  }

  isRefused(step: number, number: number): boolean {
    return this.#known(step, number) === REFUSED;
  }

  #known(step: number, number: number): Known {
    return this.#steps.get(step)?.[number] ?? 0;
  }

  #room(step: number, number: number): Int16Array {
    const known = this.#steps.get(step);
    if (known !== undefined && number < known.length) return known;
    const larger = new Int16Array(Math.max((known?.length ?? 0) * 2, number + 1, NUMBERS_AT_FIRST));
    larger.set(known ?? []);
    this.#steps.set(step, larger);
    return larger;
  }
}

const ANSWER = /^(\d+) (\d+) (\d+) (\d+)$/;

/** Rejects when the file is not what a script writes. A last line that was cut off is left out. */
export async function readAnswers(path: string): Promise<LoadRun> {
  const answers = new Answers();
  let id = '';
  let script = '';
  let before: Books | undefined;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const [, status, step, number, events] = ANSWER.exec(line) ?? [];
    if (status !== undefined) answers.add(Number(status), Number(step), Number(number), Number(events));
    else if (line.startsWith('run ')) id = line.slice('run '.length);
    else if (line.startsWith('script ')) script = line.slice('script '.length);
    else if (line.startsWith('books ')) before = JSON.parse(line.slice('books '.length));
  }
  if (!/^[0-9a-f]{12}$/.test(id) || script === '') {
    throw new Error(
      `${path} has no line "run …" and "script …": it has to be what k6 wrote with --console-output and --log-format raw`,
    );
  }
  return { id, script, before, answers };
}
