/** `npm run send`: one event through capture, and what became of it. */
import { constants } from 'node:os';
import { type Clock, systemClock } from '../clock.ts';
import type { Config } from '../config.ts';
import { newEventUuid } from '../ids.ts';
import { LIMITS } from '../limits.ts';
import { DEV_PROJECT } from '../storage/postgres/projects.ts';
import { ConsoleClient, causeOf } from './client.ts';
import { type Output, runCommand, UsageError } from './command.ts';
import { findRunning, type RunningSystem } from './connect.ts';
import { follow } from './send-follow.ts';
import { holdRecord, type Outcome, outcomeRecord, outcomeText, type Step } from './send-outcome.ts';
import { Watch } from './send-watch.ts';
import type { Row } from './terminal.ts';
import { keyValues } from './values.ts';

const DISTINCT_ID = 'newcomer';

const HELP = `Usage: npm run send -- EVENT [options]

Sends one event as an SDK would, and waits until it can show its row, or why there is none.
An event of an id that nobody knows is held until an $identify or alias says who that is, at
most BUFFER_CONVERSION_SECONDS: it says so at once, and then what released the event.

  --distinct-id X        whom it is about (default: ${DISTINCT_ID}, anonymous, who is not held)
  --anon-distinct-id Y   of an $identify: X and Y are the same person from now on
  --set key=value        a property of the person ($set); may be repeated
  --property key=value   a property of the event; may be repeated
  --token T              the project's token (default: ${DEV_PROJECT.token})
  --no-wait              ends when the event is held, instead of waiting for its release
  --json                 prints JSON lines on a terminal, too: one for what became of it, and
                         one before when it is held

A value is JSON where it can be read as such, else text.

  npm run send -- hello
  npm run send -- '$pageview' --distinct-id ada --set plan=pro --property price=9.5
  npm run send -- '$identify' --distinct-id ada --anon-distinct-id ${DISTINCT_ID}
`;

await runCommand({
  help: HELP,
  options: {
    'distinct-id': { type: 'string' },
    'anon-distinct-id': { type: 'string' },
    set: { type: 'string', multiple: true },
    property: { type: 'string', multiple: true },
    token: { type: 'string' },
    'no-wait': { type: 'boolean' },
  },
  async run({ values, positionals, config, output }) {
    const [event, ...others] = positionals;
    if (event === undefined || others.length > 0) {
      throw new UsageError('give the name of one event: npm run send -- hello');
    }
    const anonymous = values['anon-distinct-id'];
    const set = keyValues('--set', values.set ?? []);
    const body = {
      api_key: values.token ?? DEV_PROJECT.token,
      uuid: newEventUuid(),
      event,
      distinct_id: values['distinct-id'] ?? DISTINCT_ID,
      properties: {
        // As an SDK's anonymous event: it does not wait for somebody to say who this is.
        ...(values['distinct-id'] === undefined ? { $device_id: DISTINCT_ID } : {}),
        ...keyValues('--property', values.property ?? []),
        ...(Object.keys(set).length > 0 ? { $set: set } : {}),
        ...(anonymous === undefined ? {} : { $anon_distinct_id: anonymous }),
      },
    };
    const system = await findRunning(config);
    if (!system) {
      throw new UsageError(
        `nothing runs in ${config.dataDir}: start it with \`npm start\` in another terminal`,
      );
    }
    const wait = values['no-wait'] !== true;
    await sendAndWatch({ system, config, body, output, clock: systemClock, wait });
  },
});

interface Body {
  readonly uuid: string;
  readonly [key: string]: unknown;
}

interface Sending {
  readonly system: RunningSystem;
  readonly config: Config;
  readonly body: Body;
  readonly output: Output;
  readonly clock: Clock;
  /** Whether to wait for the release of a held event. */
  readonly wait: boolean;
}

async function sendAndWatch({ system, config, body, output, clock, wait }: Sending): Promise<void> {
  const watch = new Watch(new ConsoleClient(system, config), body.uuid);
  await watch.begin();
  const sentAtMs = clock.monotonic();
  const elapsedMs = () => Math.round(clock.monotonic() - sentAtMs);
  const response = await post(`${system.captureUrl}/i/v0/e`, body);
  const sent = { uuid: body.uuid, acknowledged_ms: response.ok ? elapsedMs() : null };
  if (!response.ok) {
    const text = (await response.text()).trim();
    report(output, sent, { kind: 'refused', status: response.status, text, ms: elapsedMs() });
    return;
  }
  output.line(
    `${output.paint('green', 'acknowledged')}  ${elapsedMs()} ms  it is in the log and will not be lost`,
  );
  leaveOnSignals(output);
  const limits = LIMITS.commands;
  const steps: (Step | Outcome)[] = [];
  for await (const step of follow({ watch, clock, sentAtMs, wait, limits })) {
    steps.push(step);
    report(output, { ...sent, held: holdRecord(steps) }, step);
  }
}

/** Anything but a row is a failure; a hold is none, since the event goes on. */
function report(output: Output, sent: Row, step: Step | Outcome): void {
  for (const line of outcomeText(step, output.paint)) output.line(line);
  // The last line for programs says what released it.
  if (step.kind !== 'released') output.record({ ...sent, ...outcomeRecord(step) });
  if (!['row', 'held', 'released'].includes(step.kind)) process.exitCode = 1;
}

/** Ctrl-C ends the waiting; what was acknowledged goes on. */
function leaveOnSignals(output: Output): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      output.line('waited no longer; the event goes on by itself');
      process.exit(128 + constants.signals[signal]);
    });
  }
}

async function post(url: string, body: Body): Promise<Response> {
  try {
    return await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(LIMITS.commands.requestTimeoutMs),
    });
  } catch (error) {
    throw new UsageError(`capture at ${url} does not answer: ${causeOf(error)}`);
  }
}
