/** The port of projects (`posthog_team`). */
import type { TeamId, Token } from '../event/ids.ts';
import type { Restrictions } from '../event/restriction.ts';

export interface Team {
  readonly id: TeamId;
  readonly token: Token;
  readonly name: string;
  readonly anonymizeIps: boolean;
  readonly personProcessingOptOut: boolean;
  readonly restrictions: Restrictions;
}

export interface TeamStore {
  /** `undefined`: no such project. Rejects when the store cannot be asked. A change shows within 5 s. */
  byToken(token: Token): Promise<Team | undefined>;
  /** As `byToken`, at once, when it is known and fresh; `'ask'` otherwise. */
  cached(token: Token): Team | undefined | 'ask';
}
