/** Who may see data on the console port. */
import { timingSafeEqual } from 'node:crypto';
import { BlockList, isIP } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** What is looked at of a request; Node's own has it. */
export interface Asked {
  readonly headers: {
    readonly authorization?: string | undefined;
    readonly host?: string | undefined;
    readonly origin?: string | undefined;
  };
  readonly socket: { readonly remoteAddress?: string | undefined };
}

export interface Denied {
  readonly status: 401 | 403;
  readonly message: string;
}

/**
 * With a token: whoever bears it. Without one: only this machine, and only under a name of this machine, because a
 * web page elsewhere can make its own name lead here (DNS rebinding). `undefined`: may see it.
 */
export function denied(request: Asked, token: string | undefined): Denied | undefined {
  if (token !== undefined) {
    const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (given !== undefined && sameText(given, token)) return undefined;
    return { status: 401, message: 'send the header "Authorization: Bearer <CONSOLE_TOKEN>"' };
  }
  if (!isLoopbackAddress(request.socket.remoteAddress ?? '')) {
    return {
      status: 403,
      message: 'this answers on the loopback address only: set CONSOLE_TOKEN to ask from elsewhere',
    };
  }
  if (!isLoopbackHost(request.headers.host ?? '')) {
    return {
      status: 403,
      message: `the Host header "${request.headers.host ?? ''}" is not a name of this machine: use localhost or 127.0.0.1, or set CONSOLE_TOKEN`,
    };
  }
  // A form or a script of another site can post here, but it cannot hide where it comes from.
  const origin = request.headers.origin;
  if (origin !== undefined && !(URL.canParse(origin) && isLoopbackHost(new URL(origin).host))) {
    return { status: 403, message: `pages of "${origin}" may not ask: set CONSOLE_TOKEN` };
  }
  return undefined;
}

function isLoopbackAddress(address: string): boolean {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  const version = isIP(plain);
  return version !== 0 && loopback.check(plain, version === 4 ? 'ipv4' : 'ipv6');
}

/** `host` may carry a port. */
export function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return name.toLowerCase() === 'localhost' || isLoopbackAddress(name);
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
