/** Which of ClickHouse's answers mean what. */

/** ClickHouse's error codes for "this row is wrong"; every other one may be mended by waiting. */
const ROW_REFUSALS: ReadonlySet<number> = new Set([
  6, // CANNOT_PARSE_TEXT
  25, // CANNOT_PARSE_ESCAPE_SEQUENCE
  26, // CANNOT_PARSE_QUOTED_STRING
  27, // CANNOT_PARSE_INPUT_ASSERTION_FAILED
  32, // ATTEMPT_TO_READ_AFTER_EOF
  33, // CANNOT_READ_ALL_DATA
  38, // CANNOT_PARSE_DATE
  41, // CANNOT_PARSE_DATETIME
  53, // TYPE_MISMATCH
  69, // ARGUMENT_OUT_OF_BOUND
  70, // CANNOT_CONVERT_TYPE
  72, // CANNOT_PARSE_NUMBER
  117, // INCORRECT_DATA: an unknown or repeated field
  130, // CANNOT_READ_ARRAY_FROM_TEXT
  131, // TOO_LARGE_STRING_SIZE
  321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
  349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
  376, // CANNOT_PARSE_UUID
  467, // CANNOT_PARSE_BOOL
  469, // VIOLATED_CONSTRAINT: one that somebody has added
  632, // UNEXPECTED_DATA_AFTER_PARSED_VALUE
  691, // UNKNOWN_ELEMENT_OF_ENUM
]);

/** The number in ClickHouse's answer, or `undefined` when it is no answer of ClickHouse's. */
export function clickHouseCode(error: unknown): number | undefined {
  // chdb and the client each bring a ClickHouseError class of their own, so `instanceof` would miss one.
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return /^\d+$/.test(error.code) ? Number(error.code) : undefined;
}

export function isRowRefusal(error: unknown): boolean {
  const code = clickHouseCode(error);
  return code !== undefined && ROW_REFUSALS.has(code);
}

/** chdb says so after a fatal signal in its process, to every statement from then on. */
export function hasEnded(error: unknown): boolean {
  return error instanceof Error && error.message.includes('shutting down due to a fatal error');
}

/** What ClickHouse says of an insert or a Kafka table that failed, for logs and `/_ready`: without what it quotes, which may be rows. */
export function withoutRows(message: string): string {
  return message.replace(/['"][\s\S]*['"]|['"\n][\s\S]*/g, '…');
}
