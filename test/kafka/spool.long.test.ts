import t from 'tap';
import { provesSpool } from './spool-outage.ts';

t.setTimeout(1_800_000);

t.test('the same with 100,000 events', (t) => provesSpool(t, { events: 100_000, eventsPerRequest: 10 }));
