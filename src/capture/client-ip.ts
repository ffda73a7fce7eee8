/** Whose address an event came from: the peer's, or what a trusted proxy says of the peer behind it. */
import { BlockList, isIP, SocketAddress } from 'node:net';
import type { HttpRequest } from './uws.ts';

export type ClientIp = (peer: Uint8Array, forwardedFor: () => string) => string;

/**
 * `trustedProxies`: addresses or CIDRs. Throws for one that is neither.
 * The result takes the peer's address (4 or 16 bytes) and its `X-Forwarded-For`, and gives text without a port;
 * IPv4 in IPv6 is given as IPv4.
 */
export function clientIp(trustedProxies: readonly string[]): ClientIp {
  const trusted = new BlockList();
  for (const range of trustedProxies) addRange(trusted, range);
  const isTrusted = (address: string) => trusted.check(address, familyOf(address));

  return (peer, forwardedFor) => {
    let address = addressText(peer);
    const forwarded = forwardedFor();
    if (forwarded === '') return address;
    // Each proxy adds the peer it saw at the end, so go back from there as long as the speaker is to be believed.
    const hops = forwarded.split(',').reverse();
    for (const hop of hops) {
      if (!isTrusted(address)) break;
      const before = parseAddress(hop);
      if (before === undefined) break;
      address = before;
    }
    return address;
  };
}

function addRange(list: BlockList, range: string): void {
  const [address = '', prefix, ...rest] = range.trim().split('/');
  const bitsMax = isIP(address) === 6 ? 128 : 32;
  const bits = prefix === undefined ? bitsMax : Number(prefix);
  if (
    isIP(address) === 0 ||
    prefix === '' ||
    rest.length > 0 ||
    !Number.isInteger(bits) ||
    bits < 0 ||
    bits > bitsMax
  ) {
    throw new Error(
      `TRUSTED_PROXIES: ${JSON.stringify(range)} is neither an address nor a CIDR like 10.0.0.0/8`,
    );
  }
  // Peers are compared as IPv4 where they are IPv4 in IPv6.
  const plain = normalise(address) ?? address;
  const isMapped = isIP(address) === 6 && isIP(plain) === 4 && bits >= MAPPED_BITS;
  if (isMapped) list.addSubnet(plain, bits - MAPPED_BITS, 'ipv4');
  else list.addSubnet(address, bits, familyOf(address));
}

/** Of the prefix `::ffff:0:0/96`, below which the IPv4 addresses are in IPv6. */
const MAPPED_BITS = 96;

const familyOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  const hex = Buffer.from(bytes).toString('hex');
  return normalise(hex.match(/.{4}/g)?.join(':') ?? '') ?? '';
}

const BRACKETED = /^\[([^\]]+)\](?::\d+)?$/;
const WITH_PORT = /^([\d.]+):\d+$/;

/** One entry of `X-Forwarded-For`: an address, maybe with a port. */
function parseAddress(entry: string): string | undefined {
  const text = entry.trim().replace(/^"|"$/g, '');
  return normalise(BRACKETED.exec(text)?.[1] ?? WITH_PORT.exec(text)?.[1] ?? text);
}

function normalise(address: string): string | undefined {
  if (isIP(address) === 4) return address;
  if (isIP(address) !== 6) return undefined;
  const shortest = new SocketAddress({ address: address.replace(/%.*$/, ''), family: 'ipv6' }).address;
  return /^::ffff:([\d.]+)$/i.exec(shortest)?.[1] ?? shortest;
}

/** Every header of this name, in order: a proxy may add its own below one that the client made up. */
export function forwardedFor(req: HttpRequest): string {
  if (req.getHeader('x-forwarded-for') === '') return '';
  const values: string[] = [];
  req.forEach((name, value) => {
    if (name === 'x-forwarded-for') values.push(value);
  });
  return values.join(',');
}
