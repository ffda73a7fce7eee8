/** JSON values as they arrive from strangers, and the checks that make them safe to keep. */

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value where it is an object, else an empty one. */
export const objectOrEmpty = (value: Json | undefined): JsonObject => (isJsonObject(value) ? value : {});
