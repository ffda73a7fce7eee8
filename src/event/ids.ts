/** Branded identifiers: a value that has passed its check is of another type than the raw one. */

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** `posthog_team.id`. */
export type TeamId = Branded<number, 'TeamId'>;
/** A project's token as SDKs send it (`phc_…`), shape checked. */
export type Token = Branded<string, 'Token'>;
/** Whom an event is about, in the client's words: 1 to 200 characters, well-formed, without NUL. */
export type DistinctId = Branded<string, 'DistinctId'>;
/** Lower-case UUID of an event. */
export type EventUuid = Branded<string, 'EventUuid'>;
/** Lower-case UUID of a person. */
export type PersonUuid = Branded<string, 'PersonUuid'>;

export const asTeamId = (value: number): TeamId => value as TeamId;
export const asToken = (value: string): Token => value as Token;
export const asDistinctId = (value: string): DistinctId => value as DistinctId;
export const asEventUuid = (value: string): EventUuid => value as EventUuid;
export const asPersonUuid = (value: string): PersonUuid => value as PersonUuid;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The UUID in lower case, or `undefined` if it is none. The nil UUID and every version are accepted. */
export function parseUuid(text: string): EventUuid | undefined {
  return UUID.test(text) ? asEventUuid(text.toLowerCase()) : undefined;
}

/** Derives a person's UUID (v5) from the team and its first distinct id. An input of the core, like time. */
export type DerivePersonUuid = (teamId: TeamId, distinctId: DistinctId) => PersonUuid;
