/** A run of the fuzzer: rounds of inputs, each followed by a reckoning. */
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Books } from '../../src/books.ts';
import { systemClock } from '../../src/clock.ts';
import type { Memory } from '../support/memory.ts';
import { System } from '../support/system.ts';
import { Accounts, booksFindings, dropsBetween, type Finding, settled } from './accounts.ts';
import { bringAbout } from './conditions.ts';
import { type Covered, coverage, coverageProblems } from './coverage.ts';
import { inputToText } from './input.ts';
import { judgeAnswers } from './judge.ts';
import { makeInput } from './make.ts';
import { overload } from './overload.ts';
import { restrictOne } from './restrict.ts';
import { lifeProblems } from './watch.ts';
import { WireClient } from './wire.ts';

export interface FuzzOptions {
  /** Of inputs; starts and reckonings come on top. */
  readonly seconds: number;
  readonly seed: number;
  readonly onProgress: (line: string) => void;
}

export interface FuzzResult {
  readonly seed: number;
  readonly inputs: number;
  /** Inputs of which events were answered 200 and are known. */
  readonly accepted: number;
  readonly acceptedPercent: number;
  /** Inputs that were spoilt on the way and answered 200 all the same. */
  readonly acceptedUnknown: number;
  /** By status; `none`: inputs that need not be answered, and were not. */
  readonly answers: Readonly<Record<string, number>>;
  readonly reasons: readonly Covered[];
  readonly books: Books;
  readonly memoryAfterQuarter: Memory;
  readonly memoryAtEnd: Memory;
  readonly grownMib: number;
  readonly problems: readonly string[];
}

/** Caches so small that they are full early: what grows after that is not one of them. */
export const SETTINGS = {
  PERSON_CACHE_MB: '16',
  HOLD_MB: '8',
  EMBEDDED_PARTITIONS: '2',
  BUFFER_CONVERSION_SECONDS: '1',
};
export const ACCEPTED_PERCENT_MIN = 30;
export const GROWTH_MIB_MAX = 150;
const CLIENTS = 6;
const ROUND_MS = 20_000;
/** However slow the machine is. */
const ROUND_INPUTS_MIN = 60;
/** Inputs that showed something. */
const KEPT = join(tmpdir(), 'tributary-fuzz-inputs');
/** Of one run. */
const FINDINGS_MAX = 20;

export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const conditions = await bringAbout(options.seed);
  options.onProgress('doors of their own: a full log, and one that is away');
  const system = await System.create(SETTINGS);
  try {
    options.onProgress(`seed ${options.seed}, ready after ${await system.start()} ms`);
    const run = new Run(system, options);
    await run.note(conditions.findings);
    await restrictOne(system);
    await overload(system.captureUrl);
    return await run.go(conditions.doors);
  } finally {
    await system.remove();
  }
}

class Run {
  readonly #system: System;
  readonly #options: FuzzOptions;
  readonly #pid: number | undefined;
  readonly #problems: string[] = [];
  readonly #answers: Record<string, number> = {};
  /** Sent, and not answered yet. */
  readonly #underWay = new Set<number>();
  #inputs = 0;
  #accepted = 0;
  #acceptedUnknown = 0;
  #durableEvents = 0;

  constructor(system: System, options: FuzzOptions) {
    this.#system = system;
    this.#options = options;
    this.#pid = system.pid;
  }

  async go(otherDoors: readonly Books['door'][]): Promise<FuzzResult> {
    const { seconds, seed } = this.#options;
    const roundMs = Math.min(ROUND_MS, (seconds * 1_000) / 4);
    const rounds = Math.round((seconds * 1_000) / roundMs);
    let books = await settled(this.#system);
    let memoryAfterQuarter: Memory | undefined;
    for (let round = 1; round <= rounds && this.#problems.length < FINDINGS_MAX; round++) {
      books = await this.#round(roundMs, books);
      if (memoryAfterQuarter === undefined && round >= rounds / 4)
        memoryAfterQuarter = await this.#system.memory();
      const percent = this.#acceptedPercent();
      this.#options.onProgress(
        `round ${round} of ${rounds}: ${this.#inputs} inputs, ${percent} % accepted, ${this.#problems.length} problems`,
      );
    }
    await this.note(await booksFindings(this.#system, books, this.#durableEvents));
    const memoryAtEnd = await this.#system.memory();
    const doors = [books.door, ...otherDoors];
    const reasons = coverage(doors);
    this.#problems.push(...coverageProblems(reasons, doors));
    if (this.#acceptedPercent() < ACCEPTED_PERCENT_MIN) {
      this.#problems.push(`only ${this.#acceptedPercent()} % of the inputs were accepted`);
    }
    const grownMib = ownMib(memoryAtEnd) - ownMib(memoryAfterQuarter ?? memoryAtEnd);
    if (grownMib > GROWTH_MIB_MAX) this.#problems.push(`the process grew by ${grownMib} MiB`);
    return {
      seed,
      inputs: this.#inputs,
      accepted: this.#accepted,
      acceptedPercent: this.#acceptedPercent(),
      acceptedUnknown: this.#acceptedUnknown,
      answers: this.#answers,
      reasons,
      books,
      memoryAfterQuarter: memoryAfterQuarter ?? memoryAtEnd,
      memoryAtEnd,
      grownMib,
      problems: this.#problems,
    };
  }

  /** Writes down what was found, with a file for each input that is to blame. */
  async note(findings: readonly Finding[]): Promise<void> {
    for (const { problem, input } of findings) {
      if (this.#problems.length >= FINDINGS_MAX) return;
      const line = input === undefined ? problem : `${problem}\n  ${await this.#keep(input)}`;
      // A line of the log is there in every round.
      if (this.#problems.includes(line)) continue;
      this.#problems.push(line);
      this.#options.onProgress(line);
    }
  }

  /** Everything that was sent has its fate when it resolves. */
  async #round(roundMs: number, before: Books): Promise<Books> {
    const accounts = new Accounts();
    const from = this.#inputs;
    const deadline = systemClock.monotonic() + roundMs;
    const isOver = (): boolean =>
      this.#problems.length >= FINDINGS_MAX ||
      (systemClock.monotonic() >= deadline && this.#inputs >= from + ROUND_INPUTS_MIN);
    await Promise.all(Array.from({ length: CLIENTS }, () => this.#client(accounts, isOver)));
    await this.#look();
    const books = await settled(this.#system);
    await this.note(await accounts.findings(this.#system, from, this.#inputs, dropsBetween(before, books)));
    return books;
  }

  /** Rejects when the process has ended: nothing can be asked of it any more. */
  async #look(): Promise<void> {
    const problems = await lifeProblems(this.#system, this.#pid);
    await this.note(problems.map((problem) => ({ problem, input: undefined })));
    if (!this.#system.hasEnded) return;
    const suspects = await Promise.all([...this.#underWay].map((number) => this.#keep(number)));
    throw new Error([...this.#problems, 'what was under way:', ...suspects].join('\n'));
  }

  async #client(accounts: Accounts, isOver: () => boolean): Promise<void> {
    const client = new WireClient(Number(new URL(this.#system.captureUrl).port));
    try {
      while (!isOver()) {
        const number = this.#inputs++;
        this.#underWay.add(number);
        await this.#one(client, number, accounts);
        this.#underWay.delete(number);
      }
    } finally {
      client.close();
    }
  }

  async #one(client: WireClient, number: number, accounts: Accounts): Promise<void> {
    const input = makeInput(this.#options.seed, number);
    const heard = await client.send(input).catch(async (error: unknown) => {
      await this.#look();
      throw error;
    });
    const judged = judgeAnswers(input, heard);
    for (const status of judged.statuses.length === 0 ? ['none'] : judged.statuses) {
      this.#answers[status] = (this.#answers[status] ?? 0) + 1;
    }
    if (judged.durableEvents > 0) this.#accepted++;
    else if (judged.isUnknown) this.#acceptedUnknown++;
    this.#durableEvents += judged.durableEvents;
    accounts.add(number, judged.durable, judged.refused);
    await this.note(judged.problems.map((problem) => ({ problem, input: number })));
  }

  #acceptedPercent(): number {
    return this.#inputs === 0 ? 0 : Math.floor((100 * this.#accepted) / this.#inputs);
  }

  /** The command that sends it again. */
  async #keep(number: number): Promise<string> {
    const { seed } = this.#options;
    await mkdir(KEPT, { recursive: true });
    const file = join(KEPT, `${seed}-${number}.json`);
    await writeFile(file, inputToText(makeInput(seed, number)));
    return `again with: npm run fuzz -- --input ${file}`;
  }
}

/** What of the log's file is shown in memory is bounded by the log, and the machine may take it back. */
const ownMib = ({ rss, log }: Memory): number => rss - (log ?? 0);
