/** A system that can be restarted while clients go on sending to the same address. */
import type { Test } from 'tap';
import { dataFolder, startSystem, type TestSystem } from '../system/harness.ts';
import { type Front, startFront } from './front.ts';

export interface Restartable {
  readonly front: Front;
  /** The one that runs at the moment. */
  readonly system: TestSystem;
  /** Stops it as an operator would, and starts it again on its data. */
  restart(): Promise<void>;
}

/** Ends with `t`. */
export async function startRestartable(t: Test): Promise<Restartable> {
  const dataDir = await dataFolder(t);
  const state = { system: await startSystem(t, dataDir) };
  const front = await startFront(t, state.system.captureUrl);
  return {
    front,
    get system() {
      return state.system;
    },
    async restart() {
      await state.system.end('SIGTERM');
      state.system = await startSystem(t, dataDir);
      front.target = state.system.captureUrl;
    },
  };
}
