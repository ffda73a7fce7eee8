/** `npm run reset`: forgets the data folder. */
import { existsSync } from 'node:fs';
import { readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { stopOrphanedPostgres } from '../storage/embedded/postgres-server.ts';
import { STORE_FOLDERS } from '../stores.ts';
import { runCommand, UsageError } from './command.ts';
import { withDataDir } from './connect.ts';

const HELP = `Usage: npm run reset [-- --yes]

Deletes what Tributary keeps in the data folder: every event, person and project.
Refuses while the system runs.

  --yes    does not ask
`;

/** What the lock of the data folder leaves behind. */
const LOCK_FILES = /^(lock-\d+|running\.json)$/;

await runCommand({
  help: HELP,
  options: { yes: { type: 'boolean' } },
  async run({ values, positionals, config: { dataDir, ...others }, output }) {
    if (positionals.length > 0) throw new UsageError('reset takes no arguments; --help shows more');
    const config = { ...others, dataDir };
    const folders = Object.values(STORE_FOLDERS).filter((name) => existsSync(join(dataDir, name)));
    if (folders.length === 0) {
      output.line(`There is nothing to forget in ${dataDir}.`);
      output.record({ deleted: [] });
      return;
    }
    await withDataDir(config, async () => {
      if (!values.yes) await confirm(`Delete all events, persons and projects in ${dataDir}?`);
      if (folders.includes(STORE_FOLDERS.postgres)) {
        await stopOrphanedPostgres(join(dataDir, STORE_FOLDERS.postgres));
      }
      for (const name of folders) await rm(join(dataDir, name), { recursive: true, force: true });
    });
    await removeLocks(dataDir);
    output.line(`Deleted ${folders.join(', ')} in ${dataDir}.`);
    output.record({ deleted: folders.map((name) => join(dataDir, name)) });
  },
});

async function confirm(question: string): Promise<void> {
  if (!process.stdin.isTTY) throw new UsageError('nobody can be asked here: add --yes to delete everything');
  const asked = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await asked.question(`${question} [y/N] `).finally(() => asked.close());
  if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError('nothing was deleted');
}

/** And the folder itself, if nothing of anybody else is in it. */
async function removeLocks(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    if (LOCK_FILES.test(name)) await rm(join(dir, name), { force: true });
  }
  await rmdir(dir).catch(() => {});
}
