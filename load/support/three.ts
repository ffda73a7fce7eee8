/** The system as three processes, as the README grows it: capture, a worker, and a worker with the loader. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../src/storage/embedded/postgres-server.ts';
import { startKafka } from '../../tools/kafka/broker.ts';
import { quietLogger } from '../../tools/suite-logs.ts';
import { bringUp } from './cluster.ts';
import { System } from './system.ts';

export interface Three {
  readonly capture: System;
  /** Whose console answers everything. */
  readonly loader: System;
  /** Ends everything, and removes the folders. */
  remove(): Promise<void>;
}

const ROLES = ['capture', 'worker', 'worker,loader'] as const;

/** On a Kafka and a Postgres of their own. */
export async function startThree(
  settings: Readonly<Record<string, string>>,
  report: (line: string) => void,
): Promise<Three> {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-three-'));
  // As root, PostgreSQL runs as another user, who has to reach its folder.
  await chmod(folder, 0o755);
  const ends: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  const remove = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const broker = await startKafka({ dir: join(folder, 'kafka'), report });
    ends.push(() => broker.kill());
    const postgres = await startEmbeddedPostgres({ dir: join(folder, 'postgres'), logger: quietLogger });
    ends.push(() => postgres.stop());
    const shared = {
      KAFKA_HOSTS: broker.hosts,
      DATABASE_URL: postgres.url,
      TRIBUTARY_DEV_PROJECT: 'on',
      ...settings,
    };
    const systems = await Promise.all(
      ROLES.map((TRIBUTARY_ROLES) => System.create({ ...shared, TRIBUTARY_ROLES })),
    );
    ends.push(() => Promise.all(systems.map((system) => system.remove())));
    await Promise.all(systems.map(bringUp));
    const [capture, , loader] = systems;
    if (capture === undefined || loader === undefined) throw new Error('three processes were started');
    return { capture, loader, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
