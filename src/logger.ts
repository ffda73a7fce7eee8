/** Logs: JSON lines, or readable lines on a terminal. The only file that imports pino. */
import { type LoggerOptions, pino } from 'pino';
import { redact, redactText } from './redact.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

type Fields = Readonly<Record<string, unknown>>;

/**
 * Never put event properties or distinct ids of strangers into `fields` above `debug`, and no secret at any level. What an
 * error of a library says is written without credentials, tokens and mail addresses, should it have any.
 */
export interface Logger {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
}

export function createLogger(level: LogLevel, readable: boolean): Logger {
  if (!readable) return pino({ ...optionsOf(level), timestamp: pino.stdTimeFunctions.isoTime });
  return pino({
    ...optionsOf(level),
    transport: {
      target: 'pino-pretty',
      options: { translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname', singleLine: true, destination: 2 },
    },
  });
}

function optionsOf(level: LogLevel): LoggerOptions {
  return {
    level,
    base: null,
    hooks: {
      logMethod([fields, message], method) {
        method.call(this, redact(fields), redactText(String(message)));
      },
    },
  };
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
