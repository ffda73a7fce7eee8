/** Whose address counts: that of whoever spoke to the outermost proxy that is trusted. */
import { isIP, SocketAddress } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { clientIp } from '../../src/capture/client-ip.ts';

const TRUSTED = ['10.0.0.0/8', '192.168.7.7', '2001:db8:aaaa::/48', '::ffff:172.16.0.0/108'];

const octet = fc.integer({ min: 0, max: 255 });
const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16));

const proxy = fc.oneof(
  fc.tuple(octet, octet, octet).map((rest) => `10.${rest.join('.')}`),
  fc.constant('192.168.7.7'),
  fc.tuple(octet, octet).map((rest) => `172.16.${rest.join('.')}`),
  fc.tuple(group, group).map(([a, b]) => shortest(`2001:db8:aaaa::${a}:${b}`)),
);
const stranger = fc.oneof(
  fc.tuple(octet, octet, octet).map((rest) => `203.${rest.join('.')}`),
  fc.tuple(octet, octet).map((rest) => `192.168.8.${rest[0]}`),
  fc.tuple(group, group).map(([a, b]) => shortest(`2001:db8:bbbb::${a}:${b}`)),
);
/** What a client makes up to look like somebody else. */
const madeUp = fc.array(
  fc.oneof(proxy, stranger, fc.constantFrom('', 'unknown', '10.0.0', '::g', '"'.repeat(3))),
);

/** How proxies write an address. */
const written = (address: string, form: number): string => {
  const bracketed = isIP(address) === 6 ? `[${address}]` : address;
  const mapped = isIP(address) === 4 ? `::ffff:${address}` : address;
  return [address, `${bracketed}:4711`, `"${bracketed}:80"`, mapped, ` ${address} `][form] ?? address;
};

function shortest(address: string): string {
  return new SocketAddress({ address, family: 'ipv6' }).address;
}

/** The 4 or 16 bytes of a peer. */
function bytesOf(address: string, asMapped: boolean): Uint8Array {
  if (isIP(address) === 4) {
    const plain = address.split('.').map(Number);
    return Uint8Array.from(asMapped ? [...Array<number>(10).fill(0), 0xff, 0xff, ...plain] : plain);
  }
  const [left = '', right = ''] = address.split('::');
  const groups = (text: string) => text.split(':').filter((part) => part !== '');
  const missing = 8 - groups(left).length - groups(right).length;
  const all = [...groups(left), ...Array<string>(missing).fill('0'), ...groups(right)];
  return Uint8Array.from(
    all.flatMap((part) => [Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255]),
  );
}

t.test('the client of a chain of trusted proxies is found, whatever it claims to be', async (t) => {
  const addressOf = clientIp(TRUSTED);
  const form = fc.integer({ min: 0, max: 4 });
  fc.assert(
    fc.property(
      madeUp,
      stranger,
      fc.array(fc.tuple(proxy, form), { maxLength: 4 }),
      proxy,
      form,
      fc.boolean(),
      (claims, client, inner, peer, clientForm, asMapped) => {
        const hops = [...claims, written(client, clientForm), ...inner.map(([hop, as]) => written(hop, as))];
        const found = addressOf(bytesOf(peer, asMapped), () => hops.join(','));
        if (found !== client) throw new Error(`${found} is not ${client}, of ${hops.join(', ')} by ${peer}`);
      },
    ),
  );
  t.pass();
});

t.test('a peer that is not trusted is the client, whatever it claims', async (t) => {
  const addressOf = clientIp(TRUSTED);
  fc.assert(
    fc.property(madeUp, stranger, fc.boolean(), (claims, client, asMapped) => {
      const found = addressOf(bytesOf(client, asMapped), () => claims.join(','));
      if (found !== client) throw new Error(`${found} is not ${client}`);
    }),
  );
  t.pass();
});

t.test('what is no address ends the chain at the last one that is', async (t) => {
  const addressOf = clientIp(TRUSTED);
  const ten = Uint8Array.of(10, 0, 0, 1);
  t.equal(
    addressOf(ten, () => 'unknown'),
    '10.0.0.1',
  );
  t.equal(
    addressOf(ten, () => '203.0.113.9, garbage, 10.9.9.9'),
    '10.9.9.9',
  );
});

t.test('a setting that is neither an address nor a CIDR is refused and named', async (t) => {
  for (const range of [
    '10.0.0.0/33',
    '10.0.0',
    'proxy.example',
    '::1/129',
    '10.0.0.0/',
    '',
    '10.0.0.0/-1',
    '10.0.0.0/8/9',
  ])
    t.throws(
      () => clientIp([range]),
      { message: `TRUSTED_PROXIES: ${JSON.stringify(range)} is neither` },
      range,
    );
});
