/**
 * Preloaded into a system under load: on SIGUSR2 it collects garbage and appends `process.memoryUsage()` as a JSON
 * line to the file that MEMORY_FILE names. Needs `--expose-gc`.
 */
import { appendFileSync } from 'node:fs';

const file = process.env['MEMORY_FILE'];
const collect = globalThis.gc;

if (file === undefined || collect === undefined) {
  throw new Error('collect-on-signal needs MEMORY_FILE in the environment and node --expose-gc');
}

process.on('SIGUSR2', () => {
  // What the first one finalises (buffers, connections), the second one frees.
  collect();
  collect();
  appendFileSync(file, `${JSON.stringify(process.memoryUsage())}\n`);
});
