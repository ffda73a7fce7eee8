/** Requests to the console of the running system. */
import type { Books } from '../books.ts';
import type { Config } from '../config.ts';
import type { LetterList, ShownLetter } from '../console/dead-letters.ts';
import type { ReplayAnswer, ReplayRequest } from '../console/dead-letters-route.ts';
import type { HeldAnswer } from '../console/held.ts';
import type { Database } from '../console/server.ts';
import { LIMITS } from '../limits.ts';
import { UsageError } from './command.ts';
import type { RunningSystem } from './connect.ts';
import type { Row } from './terminal.ts';

export class ConsoleClient {
  readonly #url: string;
  readonly #headers: Record<string, string>;

  constructor(system: RunningSystem, config: Config) {
    this.#url = system.consoleUrl;
    this.#headers = config.consoleToken ? { authorization: `Bearer ${config.consoleToken}` } : {};
  }

  /** Rejects with the database's own message when it refuses the statement. */
  async query(database: Database, sql: string): Promise<readonly Row[]> {
    return parseRows(await this.queryText(database, sql));
  }

  /** The answer as it comes: JSON lines, unless the statement names another format. */
  queryText(database: Database, sql: string): Promise<string> {
    return this.#ask(`/sql?database=${database}`, LIMITS.console.sqlTimeoutMs + 5_000, sql);
  }

  async books(): Promise<Books> {
    const books: Books = JSON.parse(await this.#ask('/_ledger', LIMITS.commands.requestTimeoutMs));
    return books;
  }

  async held(eventUuid: string): Promise<HeldAnswer> {
    const response = await this.#request(`/_held?event=${eventUuid}`, LIMITS.commands.requestTimeoutMs);
    if (response.status !== 404) await requireOk(response);
    const answer: HeldAnswer = JSON.parse(await response.text());
    return answer;
  }

  deadLetters(asked: Readonly<Record<string, string>>): Promise<LetterList> {
    return this.#letters(asked);
  }

  /** All of an event, or of a dead letter. */
  async deadLetter(uuid: string): Promise<readonly ShownLetter[]> {
    const { letters } = await this.#letters<{ readonly letters: readonly ShownLetter[] }>({ uuid });
    return letters;
  }

  async #letters<Answer>(asked: Readonly<Record<string, string>>): Promise<Answer> {
    const path = `/_dead_letters?${new URLSearchParams(asked)}`;
    const answer: Answer = JSON.parse(await this.#ask(path, LIMITS.deadLetters.requestTimeoutMs));
    return answer;
  }

  async replayDeadLetters(asked: ReplayRequest): Promise<ReplayAnswer> {
    const { requestTimeoutMs } = LIMITS.deadLetters;
    const body = JSON.stringify(asked);
    const answer: ReplayAnswer = JSON.parse(await this.#ask('/_dead_letters/replay', requestTimeoutMs, body));
    return answer;
  }

  async #ask(path: string, timeoutMs: number, body?: string): Promise<string> {
    const response = await this.#request(path, timeoutMs, body);
    await requireOk(response);
    return response.text();
  }

  #request(path: string, timeoutMs: number, body?: string): Promise<Response> {
    return fetch(`${this.#url}${path}`, {
      headers: this.#headers,
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { method: 'POST', body }),
    }).catch((error: unknown) => {
      throw new UsageError(`the console at ${this.#url} does not answer: ${causeOf(error)}`);
    });
  }
}

async function requireOk(response: Response): Promise<void> {
  if (!response.ok) throw new UsageError((await response.text()).trim());
}

/** `fetch` hides what went wrong behind "fetch failed". */
export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || String(error.cause) : error.message;
}

/** JSON lines. Throws a `SyntaxError` when the text is in another format. */
export function parseRows(text: string): readonly Row[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Row => JSON.parse(line));
}
