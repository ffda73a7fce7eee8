/**
 * 2. Where did it come from?
 *
 * Capture notes the client's address beside the event. The worker makes it the event's property `$ip` before the
 * transforms, so that these can turn it into a place, and takes it off again after them where the project wants no
 * addresses.
 */
import t from 'tap';
import { TRANSFORMS } from '../../src/actors/transforms.ts';
import { clientIp } from '../../src/capture/client-ip.ts';
import { given, startSystem } from './harness.ts';

const opened = { event: 'opened', distinct_id: 'ann' };

t.test('an event gets the address that it came from as $ip', async (t) => {
  const { rows } = await given(t, opened);
  t.match(rows, [{ properties: { $ip: '203.0.113.9' } }]);
});

t.test('an $ip that the client sends is kept: a server knows whose event it passes on', async (t) => {
  const { rows } = await given(t, { ...opened, properties: { $ip: '198.51.100.7' } });
  t.match(rows, [{ properties: { $ip: '198.51.100.7' } }]);
});

t.test('an empty $ip is none', async (t) => {
  const { rows } = await given(t, { ...opened, properties: { $ip: null } });
  t.match(rows, [{ properties: { $ip: '203.0.113.9' } }]);
});

t.test('an event from inside has the address of inside', async (t) => {
  const { rows } = await given(t, { ...opened, properties: { capture_internal: true } });
  t.match(rows, [{ properties: { $ip: '127.0.0.1' } }]);
});

t.test(
  'a project that wants no addresses gets none, not even the client’s own, but keeps the place',
  async (t) => {
    const system = await startSystem(t, { project: { anonymizeIps: true } });
    const place = { $geoip_country_code: 'SE', $set: { $geoip_country_code: 'SE' } };
    await system.send(opened, { ...opened, properties: { $ip: '198.51.100.7', ...place } });
    const { rows, persons } = await system.picture();
    for (const row of rows) t.notMatch(row, { properties: { $ip: String } });
    t.match(rows, [{}, { properties: { $geoip_country_code: 'SE' } }]);
    t.match(persons, [{ properties: { $geoip_country_code: 'SE' } }]);
  },
);

t.test('there are no transforms yet: places come with the apps', async (t) => {
  t.same(TRANSFORMS, []);
});

t.test('an address that a proxy reports counts only if the proxy is one of TRUSTED_PROXIES', async (t) => {
  const addressOf = clientIp(['10.0.0.0/8']);
  const proxy = Uint8Array.of(10, 0, 0, 1);
  const stranger = Uint8Array.of(198, 51, 100, 7);
  t.equal(
    addressOf(proxy, () => '203.0.113.9'),
    '203.0.113.9',
  );
  t.equal(
    addressOf(stranger, () => '203.0.113.9'),
    '198.51.100.7',
    'anybody can write this header',
  );
  t.equal(
    addressOf(proxy, () => '1.2.3.4, 203.0.113.9, 10.0.0.2'),
    '203.0.113.9',
    'the last one that nobody of ours has vouched for; what stands before it may be made up',
  );
});
