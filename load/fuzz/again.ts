/** One input once more, on a system of its own. */
import { readFile } from 'node:fs/promises';
import type { Books } from '../../src/books.ts';
import { System } from '../support/system.ts';
import { Accounts, booksFindings, dropsBetween, settled } from './accounts.ts';
import type { Answer } from './answer.ts';
import { inputFromText } from './input.ts';
import { judgeAnswers } from './judge.ts';
import { restrictOne } from './restrict.ts';
import { SETTINGS } from './run.ts';
import { lifeProblems } from './watch.ts';
import { WireClient } from './wire.ts';

export interface AgainResult {
  readonly what: string;
  /** How the connection ended. */
  readonly end: string;
  readonly answers: readonly Pick<Answer, 'status' | 'body'>[];
  readonly books: Books;
  readonly problems: readonly string[];
}

export async function sendAgain(file: string): Promise<AgainResult> {
  const input = inputFromText(await readFile(file, 'utf8'));
  const system = await System.create(SETTINGS);
  const client = new WireClient(Number(new URL(system.captureUrl).port));
  try {
    await system.start();
    await restrictOne(system);
    const { pid } = system;
    const before = await settled(system);
    const heard = await client.send(input);
    const judged = judgeAnswers(input, heard);
    const life = await lifeProblems(system, pid);
    if (system.hasEnded) throw new Error(life.join('\n'));
    const books = await settled(system);
    const accounts = new Accounts();
    accounts.add(input.number, judged.durable, judged.refused);
    const findings = [
      ...(await accounts.findings(system, input.number, input.number + 1, dropsBetween(before, books))),
      ...(await booksFindings(system, books, judged.durableEvents)),
    ];
    return {
      what: input.what,
      end: heard.end,
      answers: heard.answers.map(({ status, body }) => ({ status, body })),
      books,
      problems: [...judged.problems, ...life, ...findings.map(({ problem }) => problem)],
    };
  } finally {
    client.close();
    await system.remove();
  }
}
