/** `npm run replay`: rows of records that were read already are made and sent again. */
import { LIMITS } from '../limits.ts';
import { askReplay, knownPartitions } from '../storage/postgres/partition-rows.ts';
import type { Postgres } from '../storage/postgres/pool.ts';
import { runCommand, UsageError } from './command.ts';
import { withPostgres } from './postgres.ts';
import type { Row } from './terminal.ts';

const HELP = `Usage: npm run replay -- PARTITION:OFFSET …

Reads events_plugin_ingestion again from these offsets on, and sends the rows of its records
once more, as far as the log still has them. Nothing is folded twice: persons stay as they
are, and rows that ClickHouse has already win over those that are sent again. A record that
was dropped then may get a row now. Running workers
begin within seconds; without one, the next start does. /_ledger shows what is in flight.

  --json       prints JSON lines on a terminal, too

What there is:
  npm run sql -- --postgres "SELECT partition, first_offset, read_position FROM tributary_partition"

Example: npm run replay -- 0:120000 3:98000
`;

const { replayPartitionsMax, replayRecordsMax } = LIMITS.commands;

await runCommand({
  help: HELP,
  options: {},
  async run({ positionals, config, output }) {
    const wanted = positionals.map(positionOf);
    if (wanted.length === 0) throw new UsageError('give one or more PARTITION:OFFSET. --help shows more');
    if (wanted.length > replayPartitionsMax) {
      throw new UsageError(`give at most ${replayPartitionsMax} partitions at once`);
    }
    output.rows(await withPostgres(config, (postgres) => ask(postgres, wanted)), 'nothing to do');
  },
});

interface Wanted {
  readonly partition: number;
  readonly offset: number;
}

function positionOf(text: string): Wanted {
  const [, partition, offset] = /^(\d{1,6}):(\d{1,15})$/.exec(text) ?? [];
  if (partition !== undefined && offset !== undefined) {
    return { partition: Number(partition), offset: Number(offset) };
  }
  throw new UsageError(`"${text}" is no PARTITION:OFFSET, such as 3:98000`);
}

async function ask(postgres: Postgres, wanted: readonly Wanted[]): Promise<readonly Row[]> {
  const asked = [];
  for (const { partition, offset } of wanted) {
    const [known, another] = await knownPartitions(postgres, partition);
    if (known === undefined) throw new UsageError(`nothing was ever read of partition ${partition}`);
    if (another !== undefined) {
      throw new UsageError('this Postgres knows several logs: a replay would not know which one is meant');
    }
    const from = Math.max(offset, known.first);
    const records = Math.max(0, known.readPosition - from);
    if (records > replayRecordsMax) {
      throw new UsageError(
        `those are ${records} records of partition ${partition}, and a replay takes at most ${replayRecordsMax}: ` +
          'begin later, or replay the output topics (docs/operations.md)',
      );
    }
    asked.push({ logId: known.logId, partition, from, records });
  }
  for (const { logId, partition, from } of asked) await askReplay(postgres, logId, partition, from);
  return asked.map(({ partition, from, records }) => ({ partition, from, records }));
}
