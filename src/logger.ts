/** Logs: JSON lines, or readable lines on a terminal. The only file that imports pino. */
import { pino } from 'pino';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

type Fields = Readonly<Record<string, unknown>>;

/** Never put event properties or distinct ids of strangers into `fields` above `debug`. */
export interface Logger {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
}

export function createLogger(level: LogLevel, readable: boolean): Logger {
  if (!readable) return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime });
  return pino({
    level,
    base: null,
    transport: {
      target: 'pino-pretty',
      options: { translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname', singleLine: true, destination: 2 },
    },
  });
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
