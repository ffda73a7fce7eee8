/** Who is shown data, for each way to ask. */
import t from 'tap';
import { type Asked, denied } from '../../src/console/access.ts';

const HERE = ['127.0.0.1', '127.8.0.1', '::1', '::ffff:127.0.0.1'];
const ELSEWHERE = ['10.0.0.7', '192.168.1.1', '203.0.113.9', '2001:db8::1', '::ffff:10.0.0.7', ''];
const NAMES_OF_HERE = ['localhost:8010', '127.0.0.1', '[::1]:8010'];
const OTHER_NAMES = ['tributary.example', '10.0.0.7:8010', 'localhost.example', '0.0.0.0', ''];
const TOKEN = 'a-long-secret';
const BEARERS = [`Bearer ${TOKEN}`, `bearer ${TOKEN}`];
const NO_BEARERS = ['', `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(1)}`, 'Bearer ', TOKEN, `Basic ${TOKEN}`];

const asked = (remoteAddress: string, host: string, authorization?: string): Asked => ({
  headers: { host, ...(authorization === undefined ? {} : { authorization }) },
  socket: { remoteAddress },
});

t.test('without a token: only this machine, and only under a name of this machine', async (t) => {
  for (const address of [...HERE, ...ELSEWHERE]) {
    for (const host of [...NAMES_OF_HERE, ...OTHER_NAMES]) {
      for (const authorization of [undefined, ...BEARERS]) {
        const isHere = HERE.includes(address) && NAMES_OF_HERE.includes(host);
        const status = denied(asked(address, host, authorization), undefined)?.status;
        t.equal(status, isHere ? undefined : 403, `${address} asks ${host}`);
      }
    }
  }
});

t.test('with a token: whoever bears it, from wherever, and nobody else', async (t) => {
  for (const address of [...HERE, ...ELSEWHERE]) {
    for (const host of [...NAMES_OF_HERE, ...OTHER_NAMES]) {
      for (const authorization of BEARERS)
        t.equal(denied(asked(address, host, authorization), TOKEN), undefined);
      for (const authorization of NO_BEARERS)
        t.equal(denied(asked(address, host, authorization), TOKEN)?.status, 401, `"${authorization}"`);
    }
  }
});
