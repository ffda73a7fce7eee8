import t from 'tap';
import { provesSpool } from './spool-outage.ts';

t.setTimeout(600_000);

t.test('Kafka away and capture killed: nothing acknowledged is lost, and each id keeps its order', (t) =>
  provesSpool(t, { events: 2_000, eventsPerRequest: 2 }),
);
