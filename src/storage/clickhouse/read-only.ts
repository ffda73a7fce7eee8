/**
 * What `readonly = 1` lets through, and must not: chdb answers `KILL QUERY`, writes files with `INTO OUTFILE`, and
 * reads them with the function `file()` and with `DESCRIBE file()`.
 */
import { QueryRefusedError } from '../clickhouse-port.ts';

const STATEMENTS = /^(SELECT|WITH|SHOW|DESCRIBE|EXISTS|EXPLAIN)\b/;
const LITERALS = /'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`/g;
const FORBIDDEN: readonly (readonly [RegExp, string])[] = [
  [/\bINTO OUTFILE\b/, 'INTO OUTFILE is not allowed here.'],
  [/\bfile\(/, 'The function file() is not allowed here.'],
  [/^DESCRIBE TABLE \w+\(/, 'DESCRIBE of a table function is not allowed here.'],
];

/**
 * `normalized`: the statement as ClickHouse's `formatQuerySingleLine` writes it, that is without comments, with
 * keywords in capitals and with quotes only where they are needed. Throws `QueryRefusedError`.
 */
export function assertReadOnly(normalized: string): void {
  const words = normalized.replace(LITERALS, "''");
  if (!STATEMENTS.test(words)) {
    throw new QueryRefusedError(
      'Only SELECT, WITH, SHOW, DESCRIBE, EXISTS and EXPLAIN are answered here: queries are read-only.',
    );
  }
  for (const [pattern, reason] of FORBIDDEN) if (pattern.test(words)) throw new QueryRefusedError(reason);
}
