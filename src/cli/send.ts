/** `npm run send`: one event through capture, and what became of it. */
import { type Clock, sleep, systemClock } from '../clock.ts';
import type { Config } from '../config.ts';
import { newEventUuid } from '../ids.ts';
import { LIMITS } from '../limits.ts';
import { DEV_PROJECT } from '../storage/postgres/projects.ts';
import { ConsoleClient, causeOf } from './client.ts';
import { type Output, runCommand, UsageError } from './command.ts';
import { findRunning, type RunningSystem } from './connect.ts';
import { type Outcome, outcomeRecord, outcomeText } from './send-outcome.ts';
import { Watch } from './send-watch.ts';
import { keyValues } from './values.ts';

const DISTINCT_ID = 'newcomer';

const HELP = `Usage: npm run send -- EVENT [options]

Sends one event as an SDK would, and waits until it can show its row, or why there is none.

  --distinct-id X        whom it is about (default: ${DISTINCT_ID})
  --anon-distinct-id Y   the anonymous id of an $identify (this version merges nobody yet)
  --set key=value        a property of the person ($set); may be repeated
  --property key=value   a property of the event; may be repeated
  --token T              the project's token (default: ${DEV_PROJECT.token})
  --json                 prints one JSON line on a terminal, too

A value is JSON where it can be read as such, else text.

  npm run send -- hello
  npm run send -- '$pageview' --distinct-id ada --set plan=pro --property price=9.5
`;

await runCommand({
  help: HELP,
  options: {
    'distinct-id': { type: 'string' },
    'anon-distinct-id': { type: 'string' },
    set: { type: 'string', multiple: true },
    property: { type: 'string', multiple: true },
    token: { type: 'string' },
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
    await sendAndWatch(system, config, body, output, systemClock);
  },
});

interface Body {
  readonly uuid: string;
  readonly [key: string]: unknown;
}

async function sendAndWatch(
  system: RunningSystem,
  config: Config,
  body: Body,
  output: Output,
  clock: Clock,
): Promise<void> {
  const watch = new Watch(new ConsoleClient(system, config), body.uuid);
  await watch.begin();
  const sentAt = clock.monotonic();
  const elapsedMs = () => Math.round(clock.monotonic() - sentAt);
  const report = (outcome: Outcome) => {
    for (const line of outcomeText(outcome, output.paint)) output.line(line);
    output.record({ uuid: body.uuid, acknowledged_ms: acknowledgedMs, ...outcomeRecord(outcome) });
    if (outcome.kind !== 'row') process.exitCode = 1;
  };

  const response = await post(`${system.captureUrl}/i/v0/e`, body);
  const acknowledgedMs = response.ok ? elapsedMs() : null;
  if (!response.ok) {
    const text = (await response.text()).trim();
    report({ kind: 'refused', status: response.status, text, ms: elapsedMs() });
    return;
  }
  output.line(
    `${output.paint('green', 'acknowledged')}  ${elapsedMs()} ms  it is in the log and will not be lost`,
  );

  while (elapsedMs() < LIMITS.commands.rowTimeoutMs) {
    const found = await watch.look();
    if (found) {
      report({ ...found, ms: elapsedMs() });
      return;
    }
    await sleep(clock, LIMITS.commands.rowPollMs);
  }
  report({ kind: 'none', ms: elapsedMs(), books: await watch.books() });
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
