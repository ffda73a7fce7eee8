/** Which project a request is for. */
import { asToken, type Token } from '../event/ids.ts';
import { isJsonObject, type Json } from '../event/json.ts';
import type { Team, TeamStore } from '../storage/team-store.ts';
import { Refusal } from './refusal.ts';
import type { Batch } from './shape.ts';

/** The batch's own token; without one, that of the events, which must agree. Its shape is checked. */
export function tokenOf(batch: Batch, tokenBytesMax: number): Token | Refusal {
  if (batch.token !== undefined && batch.token !== null) return checkToken(batch.token, tokenBytesMax);
  let found: Json | undefined;
  for (const event of batch.events) {
    const token = eventToken(event);
    if (token === undefined || token === null) continue;
    if (found !== undefined && found !== token) {
      return new Refusal(
        'several_tokens',
        'the events have different tokens: send those of one project at a time',
      );
    }
    found = token;
  }
  if (found !== undefined) return checkToken(found, tokenBytesMax);
  return new Refusal('missing_token', 'the token is missing: send the project\'s token as "api_key"');
}

function eventToken(event: Json): Json | undefined {
  if (!isJsonObject(event)) return undefined;
  const token = event['token'] ?? event['$token'] ?? event['api_key'];
  if (token !== undefined && token !== null) return token;
  const properties = event['properties'];
  const inner = isJsonObject(properties) ? properties['token'] : undefined;
  return typeof inner === 'string' ? inner : undefined;
}

export function checkToken(value: Json, bytesMax: number): Token | Refusal {
  const token = typeof value === 'string' ? value.trim() : value;
  const fault = shapeFault(token, bytesMax);
  if (fault === undefined && typeof token === 'string') return asToken(token);
  return new Refusal('invalid_token', `API key is not valid: ${fault}`);
}

function shapeFault(token: Json, bytesMax: number): string | undefined {
  if (typeof token !== 'string') return 'not_a_string';
  if (token === '') return 'empty';
  if (Buffer.byteLength(token) > bytesMax) return 'too_long';
  if (token.includes('\0')) return 'null_byte';
  if (/[^\0-\x7f]/.test(token)) return 'not_ascii';
  if (token.startsWith('phx_')) return "personal_api_key (send the project's token instead)";
  return undefined;
}

/**
 * The project with this token; a refusal when there is none. `undefined`: the projects cannot be asked. Then the events are
 * taken, and the worker judges them: a project whose database is away must not lose events.
 */
export async function teamOf(token: Token, teams: TeamStore): Promise<Team | Refusal | undefined> {
  try {
    const known = teams.cached(token);
    const team = known === 'ask' ? await teams.byToken(token) : known;
    if (team !== undefined) return team;
  } catch {
    return undefined;
  }
  const name = JSON.stringify(token);
  const text = `no project has the token ${name}: check it, or list the projects with: npm run project -- list`;
  return new Refusal('unknown_token', text);
}
