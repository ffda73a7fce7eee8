/**
 * A process that appends to the embedded log of the folder given, four appends at a time, and prints a line for
 * each that was acknowledged: `ack PARTITION OFFSET VALUE`. One that fails prints `refused NAME`, and the next
 * waits for a line on the standard input.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/clock.ts';
import { openEmbeddedLog } from '../../src/storage/embedded/log.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

const [dir = '', valueBytes = '100'] = process.argv.slice(2);
const log = await openEmbeddedLog({ dir, partitions: 2, clock: systemClock, logger: quietLogger });
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
writeSync(1, 'ready\n');

let count = 0;

async function appendForever(): Promise<void> {
  for (;;) {
    const id = `${process.pid}-${count++}`;
    const value = Buffer.from(id.padEnd(Number(valueBytes)));
    try {
      const [position] = await log.append([
        { topic: 'events_plugin_ingestion', key: id, value, headers: {}, timestamp: 0 },
      ]);
      writeSync(1, `ack ${position?.partition} ${position?.offset} ${id}\n`);
    } catch (error) {
      writeSync(1, `refused ${error instanceof Error ? error.name : error}\n`);
      await lines.next();
    }
  }
}

for (let appender = 0; appender < 4; appender++) void appendForever();
