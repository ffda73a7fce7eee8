/** Two servers, each a process of its own, that take the same requests from one client. */
import type { Parts } from '../src/parts.ts';
import type { Contest, Cost, Side } from './benchmark.ts';
import type { LoadName } from './capture-loads.ts';
import { ask, startChild, startMeasuredChild } from './measured-child.ts';

/** What is posted, and how many times in a round. */
export interface Traffic {
  readonly load: LoadName;
  readonly requests: number;
}

/** What `capture-client.ts` is told; it answers when all requests were answered. */
export interface ClientOrder {
  readonly port: number;
  readonly requests: number;
}

/** What `capture-server.ts` is: with which log, or the floor. */
export type ServerKind =
  | { readonly server: 'route' }
  | { readonly server: 'capture'; readonly log: 'none' }
  | { readonly server: 'capture'; readonly log: 'embedded'; readonly dir: string }
  | { readonly server: 'capture'; readonly log: 'kafka'; readonly hosts: string };

/** What it says when it is up. */
export interface ServerReady {
  readonly port: number;
}

export async function startCaptureContest(
  parts: Parts,
  { load, requests }: Traffic,
  servers: Readonly<Record<Side, ServerKind>>,
): Promise<Contest> {
  const client = await startChild(parts, 'capture-client.ts', load);
  const sideOf = async (kind: ServerKind) => {
    const server = await startMeasuredChild<ServerReady>(parts, 'capture-server.ts', JSON.stringify(kind));
    return async (): Promise<Cost> => {
      await server.begin();
      await ask(client, { port: server.ready.port, requests } satisfies ClientOrder);
      return server.end();
    };
  };
  return { ours: await sideOf(servers.ours), floor: await sideOf(servers.floor) };
}
