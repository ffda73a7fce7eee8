/** Reads the TAP of many test files and counts what their tests asserted. */
import { inspect } from 'node:util';
import { Parser, type Result } from 'tap-parser';

export interface FileResult {
  readonly file: string;
  readonly durationMs: number;
  readonly passed: number;
  readonly failures: readonly Failure[];
  /** Names of what was skipped or is still to be done, with the reason. */
  readonly skipped: readonly string[];
}

export interface Failure {
  /** The names of the tests around it, and its own. */
  readonly path: readonly string[];
  /** What the assertion says: difference, source, stack. */
  readonly detail: string;
}

/** What a test file has asserted so far. */
interface Tally {
  passed: number;
  readonly failures: Failure[];
  readonly skipped: string[];
}

/** A stream for the TAP of `tap` with one subtest for each file; `onFile` is called as each of them ends. */
export function tapResults(onFile: (result: FileResult) => void): Parser {
  const root = new Parser();
  let tally: Tally = { passed: 0, failures: [], skipped: [] };
  root.on('child', (file: Parser) => {
    tally = { passed: 0, failures: [], skipped: [] };
    count(file, [], tally);
  });
  root.on('assert', (result: Result) => {
    const { passed, failures, skipped } = tally;
    const silent = passed + failures.length + skipped.length === 0;
    if (silent || (!result.ok && failures.length === 0)) {
      const reason = silent ? 'no test ran in this file' : 'the file failed after its tests';
      failures.push({ path: [reason], detail: describe(result.diag) });
    }
    onFile({ file: result.name, durationMs: result.time ?? 0, passed, failures, skipped });
    tally = { passed: 0, failures: [], skipped: [] };
  });
  return root;
}

/** Counts assertions only: the line that closes a subtest repeats what its assertions said. */
function count(parser: Parser, path: readonly string[], tally: Tally): void {
  let failuresBefore = 0;
  parser.on('child', (child: Parser) => {
    failuresBefore = tally.failures.length;
    count(child, [...path, child.name], tally);
  });
  parser.on('assert', (result: Result) => {
    const name = [...path, result.name];
    if (result.skip || result.todo) {
      const reason = [result.skip, result.todo].find((each) => typeof each === 'string' && each !== '');
      tally.skipped.push(`${name.join(' > ')}${reason ? `: ${reason}` : ''}`);
    } else if (!result.closingTestPoint) {
      if (result.ok) tally.passed += 1;
      else tally.failures.push({ path: name, detail: describe(result.diag) });
    } else if (!result.ok && tally.failures.length === failuresBefore) {
      tally.failures.push({ path: name, detail: describe(result.diag) });
    }
  });
}

/** How tap started a file: of no use to whoever reads the failure. */
const NOISE = new Set(['stdio', 'cwd', 'externalID', 'command', 'args', 'jobId']);

/** The fields of an assertion's diagnosis, texts of several lines as they are. */
function describe(diag: unknown): string {
  if (typeof diag !== 'object' || diag === null) return '';
  return Object.entries(diag)
    .filter(([key]) => !NOISE.has(key))
    .map(([key, value]) => {
      const text =
        typeof value === 'string' ? value.trimEnd() : inspect(value, { depth: 6, breakLength: 100 });
      return text.includes('\n') ? `${key}:\n${indent(text)}` : `${key}: ${text}`;
    })
    .join('\n');
}

export const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ');
