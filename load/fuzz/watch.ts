/** Whether the process lives as it should: the same one, healthy, and without an error in its log. */
import type { System } from '../support/system.ts';

const HEALTH_TIMEOUT_MS = 60_000;
/** Of the log's lines. */
const ERROR_LEVEL = 50;
const SHOWN_MAX = 5;

/** `pid`: of its start. */
export async function lifeProblems(system: System, pid: number | undefined): Promise<readonly string[]> {
  const problems: string[] = [];
  if (system.hasEnded || system.pid !== pid) return [`the process has ended:\n${await system.log()}`];
  const health = await healthOf(system);
  if (health !== 200) problems.push(`/_health answers ${health}`);
  const lines = await system.lines();
  const errors = lines.filter(({ level }) => Number(level) >= ERROR_LEVEL);
  for (const line of errors.slice(0, SHOWN_MAX))
    problems.push(`an error in the log: ${JSON.stringify(line)}`);
  for (const line of (await system.strayLines()).slice(0, SHOWN_MAX))
    problems.push(`a stray line in the log: ${line}`);
  return problems;
}

async function healthOf({ consoleUrl }: System): Promise<number> {
  try {
    const response = await fetch(`${consoleUrl}/_health`, { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
    await response.text();
    return response.status;
  } catch {
    return 0;
  }
}
