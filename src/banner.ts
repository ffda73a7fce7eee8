/** What a terminal shows once the system is ready. */
import type { Paint } from './cli/terminal.ts';
import { ROLES, type Role } from './settings.ts';

export interface Ready {
  readonly roles: readonly Role[];
  /** `undefined`: the role capture runs elsewhere. */
  readonly captureUrl: string | undefined;
  readonly consoleUrl: string;
  /** Of the development project; `undefined` when there is none. */
  readonly token: string | undefined;
  readonly startedMs: number;
}

export function banner({ roles, captureUrl, consoleUrl, token, startedMs }: Ready, paint: Paint): string {
  const field = (name: string, value: string) => `  ${paint('dim', name.padEnd(14))} ${value}`;
  const command = (text: string) => `    ${paint('cyan', text)}`;
  const title =
    `  ${paint('bold', roles.length === ROLES.length ? 'Tributary runs' : `Tributary runs ${roles.join(', ')}`)} ` +
    paint('dim', `(ready in ${(startedMs / 1000).toFixed(1)} s, Ctrl-C ends it)`);
  if (captureUrl === undefined) return `\n${title}\n\n${field('Look at it', consoleUrl)}\n\n`;
  const event = {
    api_key: token ?? 'YOUR_TOKEN',
    event: 'hello',
    distinct_id: 'newcomer',
    // Anonymous, as an SDK's first event is: nobody has to say who it is, so it does not wait for that.
    properties: { $device_id: 'newcomer' },
  };
  return `
${title}

${field('SDKs post to', captureUrl)}
${field('with the token', token ?? 'of a project: npm run project -- list')}
${field('Look at it', consoleUrl)}

  Send a first event, then ask for it (in another terminal):

${command(`curl ${captureUrl}/i/v0/e -d '${JSON.stringify(event)}'`)}
${command('npm run sql -- "SELECT event, distinct_id, person_id FROM events"')}

`;
}
