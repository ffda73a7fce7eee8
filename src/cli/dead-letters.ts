/** `npm run dead-letters`: what could not be processed, why, and back into the log. */
import type { Config } from '../config.ts';
import type { ListedLetter } from '../console/dead-letters.ts';
import type { ReplayResult } from '../console/dead-letters-replay.ts';
import type { ReplayAnswer, ReplayRequest } from '../console/dead-letters-route.ts';
import { LIMITS } from '../limits.ts';
import { ConsoleClient } from './client.ts';
import { type Output, runCommand, UsageError } from './command.ts';
import { findRunning } from './connect.ts';
import {
  placeText,
  replayState,
  resultText,
  sinceTime,
  summaryText,
  wholeText,
} from './dead-letters-text.ts';

const HELP = `Usage: npm run dead-letters -- list [--reason R] [--since T] [--limit N]
       npm run dead-letters -- show UUID
       npm run dead-letters -- replay UUID … | --reason R [--since T] | --all [--dry-run]

Shows the events that could not be processed, what that means and what to do about it, and
puts them back into the log, as they came and with their own time, once the cause is gone.
Each goes back at most once, however often it is asked for. UUID: of an event, or of a dead
letter. Asks the running system (CONSOLE_HOST, CONSOLE_PORT, CONSOLE_TOKEN).

  --reason R   only those of this reason
  --since T    only those since then: 2h, 3d, or a time such as 2026-01-31T12:00:00Z
  --limit N    how many to list (default 100, at most ${LIMITS.deadLetters.listMax})
  --all        all of them
  --dry-run    says what replay would do, and does nothing
  --json       prints JSON lines on a terminal, too
`;

const { replayMax } = LIMITS.deadLetters;

await runCommand({
  help: HELP,
  options: {
    reason: { type: 'string' },
    since: { type: 'string' },
    limit: { type: 'string' },
    all: { type: 'boolean' },
    'dry-run': { type: 'boolean' },
  },
  async run({ values, positionals: [verb, ...uuids], config, output }) {
    const { reason, limit, all } = values;
    const since = values.since === undefined ? undefined : sinceTime(values.since, Date.now());
    const filter = { ...(reason !== undefined && { reason }), ...(since !== undefined && { since }) };
    const only = (...names: readonly string[]) => {
      const other = Object.keys(values).find((name) => !names.includes(name));
      if (other !== undefined) throw new UsageError(`--${other} does not belong to ${verb}`);
    };
    if (verb === 'list' && uuids.length === 0) {
      only('reason', 'since', 'limit');
      return list(await clientOf(config), { ...filter, ...(limit !== undefined && { limit }) }, output);
    }
    const [uuid] = uuids;
    if (verb === 'show' && uuid !== undefined && uuids.length === 1) {
      only();
      return show(await clientOf(config), uuid, output);
    }
    if (verb === 'replay') {
      only('reason', 'since', 'all', 'dry-run');
      const ways = [uuids.length > 0, reason !== undefined, all === true].filter(Boolean).length;
      if (ways !== 1) throw new UsageError('replay takes uuids, or --reason R, or --all');
      if (uuids.length > 0 && since !== undefined)
        throw new UsageError('--since belongs to --reason and --all');
      const isDry = values['dry-run'] === true;
      return replay(await clientOf(config), { filter, uuids, isDry }, output);
    }
    throw new UsageError('give list, show UUID, or replay UUID …. --help shows more');
  },
});

async function clientOf(config: Config): Promise<ConsoleClient> {
  const system = await findRunning(config);
  if (system !== undefined) return new ConsoleClient(system, config);
  throw new UsageError(`nothing runs in ${config.dataDir}: start it with \`npm start\` in another terminal`);
}

async function list(
  client: ConsoleClient,
  asked: Readonly<Record<string, string>>,
  output: Output,
): Promise<void> {
  const { counts, letters } = await client.deadLetters(asked);
  if (output.json) {
    for (const letter of letters) output.record({ ...letter });
    return;
  }
  output.rows(rowsOf(letters), 'no dead letters');
  const all = Object.entries(counts);
  if (all.length === 0) return;
  output.line('');
  for (const [reason, count] of all) output.line(`${String(count).padStart(8)}  ${reason}`);
  const total = all.reduce((sum, [, count]) => sum + count, 0);
  if (total > letters.length) output.line(`the newest ${letters.length} of ${total}; --limit shows more`);
}

function rowsOf(letters: readonly ListedLetter[]) {
  const someWentBack = letters.some(({ replay }) => replay !== null);
  return letters.map((letter) => ({
    time: letter.at.slice(0, 19),
    reason: letter.reason,
    event: letter.event,
    'distinct id': letter.distinct_id,
    uuid: letter.event_uuid,
    from: placeText(letter.source),
    ...(someWentBack && { 'went back': replayState(letter.replay) }),
  }));
}

async function show(client: ConsoleClient, uuid: string, output: Output): Promise<void> {
  const letters = await client.deadLetter(uuid);
  if (letters.length === 0) throw new UsageError(`there is no dead letter of ${uuid}`);
  for (const letter of letters) {
    output.record({ ...letter });
    for (const line of wholeText(letter, output.paint)) output.line(line);
  }
}

interface Wanted {
  readonly filter: Pick<ReplayRequest, 'reason' | 'since'>;
  /** None: all that the filter finds. */
  readonly uuids: readonly string[];
  readonly isDry: boolean;
}

async function replay(
  client: ConsoleClient,
  { filter, uuids, isDry }: Wanted,
  output: Output,
): Promise<void> {
  const requests: ReplayRequest[] = uuids.length === 0 ? [filter] : [];
  for (let from = 0; from < uuids.length; from += replayMax) {
    requests.push({ uuids: uuids.slice(from, from + replayMax) });
  }
  const results: ReplayResult[] = [];
  for (const request of requests) {
    for await (const result of answers(client, { ...request, dry_run: isDry })) {
      results.push(result);
      // Who asks for all of them knows that some have gone before.
      if (uuids.length === 0 && result.outcome === 'replayed_already') continue;
      output.record({ ...result });
      output.line(resultText(result, output.paint));
    }
    if (results.some(isRefused)) break;
  }
  for (const line of summaryText(results)) output.line(line);
  const about = (uuid: string) => results.filter((result) => isAbout(result, uuid));
  for (const uuid of uuids) {
    if (about(uuid).length === 0) process.stderr.write(`there is no dead letter of ${uuid}\n`);
  }
  if (results.some(isRefused) || uuids.some((uuid) => !about(uuid).some(isDone))) process.exitCode = 1;
}

/** One page after another, until there is no more or the log takes no more. */
async function* answers(client: ConsoleClient, request: ReplayRequest): AsyncGenerator<ReplayResult> {
  let after: string | null = null;
  do {
    const { results, next }: ReplayAnswer = await client.replayDeadLetters({
      ...request,
      ...(after !== null && { after }),
    });
    yield* results;
    if (results.some(isRefused)) return;
    after = next;
  } while (after !== null);
}

/** What the log does not take now it does not take in the next moment. */
function isRefused({ outcome }: ReplayResult): boolean {
  return outcome === 'not_now' || outcome === 'unknown';
}

function isDone({ outcome }: ReplayResult): boolean {
  return outcome === 'replayed' || outcome === 'ready';
}

function isAbout({ id, event_uuid }: ReplayResult, uuid: string): boolean {
  return [id, event_uuid].includes(uuid.toLowerCase());
}
