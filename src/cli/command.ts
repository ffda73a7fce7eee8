/** What every command does the same way: its options, `--help`, `--json`, and how it fails. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { type Config, loadConfig } from '../config.ts';
import { jsonLines, type Paint, paintFor, type Row, table } from './terminal.ts';

type Options = NonNullable<ParseArgsConfig['options']>;
type Parsed<O extends Options> = ReturnType<
  typeof parseArgs<{ options: O; strict: true; allowPositionals: true }>
>;

/** Something that the user has to mend. The message says what to do. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface Output {
  /** JSON lines, instead of text for people. */
  readonly json: boolean;
  readonly paint: Paint;
  /** A table, or one JSON line for each row. People read `empty` when there is none. */
  rows(rows: readonly Row[], empty: string): void;
  /** A line for people. */
  line(text: string): void;
  /** A JSON line for programs. */
  record(row: Row): void;
}

export interface Invocation<O extends Options> {
  readonly values: Parsed<O>['values'];
  readonly positionals: readonly string[];
  readonly config: Config;
  readonly output: Output;
}

export interface Command<O extends Options> {
  /** How it is called and what it does, for `--help`. */
  readonly help: string;
  readonly options: O;
  /** Rejects when it fails; the message is what the user reads. */
  run(invocation: Invocation<O>): Promise<void>;
}

/** Runs a command as this process: exit code 1 and its clear message when it fails. */
export async function runCommand<O extends Options>(command: Command<O>): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of the pipe has gone (`| head`): nothing is left to do.
    process.exit(error.code === 'EPIPE' ? 0 : 1);
  });
  try {
    const args = process.argv.slice(2);
    if (args.includes('--help') || args.includes('-h')) {
      process.stdout.write(command.help);
      return;
    }
    const own = args.filter((arg) => arg !== '--json');
    const { values, positionals } = parse(own, command.options);
    const output = outputOf(process.stdout, own.length < args.length);
    await command.run({ values, positionals, config: loadConfig(), output });
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}

function parse<O extends Options>(args: string[], options: O): Parsed<O> {
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: true });
  } catch (error) {
    const message = error instanceof Error ? error.message.split('. ')[0] : String(error);
    throw new UsageError(`${message}. --help shows what there is`);
  }
}

function outputOf(stream: NodeJS.WriteStream, json: boolean): Output {
  const forPrograms = json || !stream.isTTY;
  const paint = paintFor(stream);
  return {
    json: forPrograms,
    paint,
    rows(rows, empty) {
      if (forPrograms) stream.write(jsonLines(rows));
      else stream.write(rows.length === 0 ? `${empty}\n` : table(rows, paint, stream.columns));
    },
    line(text) {
      if (!forPrograms) stream.write(`${text}\n`);
    },
    record(row) {
      if (forPrograms) stream.write(jsonLines([row]));
    },
  };
}
