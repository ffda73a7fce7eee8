import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { spoolFiles } from '../../src/capture/spool/files.ts';
import { decodeRecord, encodeRecord, scan } from '../../src/capture/spool/frame.ts';
import { Spool } from '../../src/capture/spool/spool.ts';
import type { AppendRecord } from '../../src/storage/event-log.ts';
import { quietLogger } from '../../tools/suite-logs.ts';

const LIMITS = { bytesMax: 1_000_000, segmentBytesMax: 100_000, groupBytesMax: 100_000 };

const record: fc.Arbitrary<AppendRecord> = fc.record({
  topic: fc.constant('events_plugin_ingestion' as const),
  key: fc.option(fc.string({ unit: 'binary' })),
  value: fc.string({ unit: 'binary', maxLength: 60 }),
  headers: fc.dictionary(fc.string(), fc.string()),
  timestamp: fc.nat(),
});

const plain = (records: readonly AppendRecord[]) =>
  records.map(({ value, headers, ...rest }) => ({
    ...rest,
    headers: { ...headers },
    value: Buffer.from(value).toString(),
  }));

async function folder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'tributary-spool-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const open = (dir: string) => Spool.open({ files: spoolFiles(dir), limits: LIMITS, logger: quietLogger });

async function readAll(spool: Spool) {
  const records: AppendRecord[] = [];
  let damagedBytes = 0;
  for (let segment = await spool.oldest(); segment; segment = await spool.oldest()) {
    const found = await spool.read(segment);
    records.push(...found.records);
    damagedBytes += found.damagedBytes;
    await spool.remove(segment, found.damagedBytes > 0);
  }
  return { records, damagedBytes };
}

t.test('every record comes back as it was given', async (t) => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 10 }), (records) => {
      const { payloads, damagedBytes } = scan(Buffer.concat(records.map(encodeRecord)));
      t.equal(damagedBytes, 0);
      t.strictSame(plain(payloads.map(decodeRecord)), plain(records));
    }),
    { numRuns: 50 },
  );
});

t.test('a record torn at any of its bytes is cut off, and nothing before it is lost', async (t) => {
  const dir = await folder(t);
  const whole = [0, 1, 2].map(
    (n): AppendRecord => ({
      topic: 'events_plugin_ingestion',
      key: 'k',
      value: `value ${n}`,
      headers: { uuid: String(n) },
      timestamp: n,
    }),
  );
  const frames = whole.map(encodeRecord);
  const bytes = Buffer.concat(frames);
  const lastAt = bytes.length - (frames[2]?.length ?? 0);
  const path = join(dir, '0000000000000001.spool');
  for (let end = lastAt; end < bytes.length; end++) {
    // What the disk never got may read as nothing, or as zeros.
    for (const tail of [Buffer.alloc(0), Buffer.alloc(bytes.length - end)]) {
      await writeFile(path, Buffer.concat([bytes.subarray(0, end), tail]));
      const spool = await open(dir);
      if (spool.depth().events !== 2) t.fail(`torn at ${end}: ${spool.depth().events} events`);
      t.equal((await readFile(path)).length, lastAt, 'cut off');
      // The next process finds nothing wrong with it, though it is not the last file any more.
      await spool.append(whole.slice(0, 1));
      await spool.close();
      const again = await readAll(await open(dir));
      t.strictSame(again.damagedBytes, 0);
      t.strictSame(plain(again.records), plain([...whole.slice(0, 2), ...whole.slice(0, 1)]));
    }
  }
});

t.test('a damaged record in the middle is counted, put aside, and loses nothing else', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { minLength: 3, maxLength: 6 }),
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (records, which, where, flip) => {
        const dir = await folder(t);
        const frames = records.map(encodeRecord);
        const hit = which % (records.length - 1);
        const frame = frames[hit] ?? Buffer.alloc(1);
        const at = where % frame.length;
        frame[at] = (frame[at] ?? 0) ^ flip;
        await writeFile(join(dir, '0000000000000001.spool'), Buffer.concat(frames));
        const spool = await open(dir);
        const found = await readAll(spool);
        t.equal(found.damagedBytes, frame.length);
        t.strictSame(plain(found.records), plain(records.toSpliced(hit, 1)));
        t.match(await readdir(dir), [/^0000000000000001\.spool\..*\.aside$/]);
      },
    ),
    { numRuns: 60 },
  );
});

t.test(
  'a disk that does not take it is an error for those who wait, and costs nothing before or after',
  async (t) => {
    const dir = await folder(t);
    const files = spoolFiles(dir);
    let fault: 'none' | 'write' | 'sync' | 'create' = 'none';
    const failing = (what: typeof fault) => {
      if (fault === what) throw Object.assign(new Error(`ENOSPC: ${what}`), { code: 'ENOSPC' });
    };
    const spool = await Spool.open({
      files: {
        ...files,
        async create(number) {
          failing('create');
          const file = await files.create(number);
          return {
            ...file,
            async write(bytes) {
              if (fault === 'write') await file.write(bytes.subarray(0, bytes.length - 3));
              failing('write');
              await file.write(bytes);
            },
            async sync() {
              failing('sync');
              await file.sync();
            },
          };
        },
      },
      limits: LIMITS,
      logger: quietLogger,
    });
    const make = (value: string): AppendRecord => ({
      topic: 'events_plugin_ingestion',
      key: 'k',
      value,
      headers: {},
      timestamp: 1,
    });
    const kept: string[] = [];
    for (const each of ['none', 'write', 'none', 'sync', 'create', 'none', 'write'] as const) {
      fault = each;
      const value = `${kept.length} ${each}`;
      if (each === 'none') {
        await spool.append([make(value)]);
        kept.push(value);
        t.equal(spool.trouble(), undefined);
      } else {
        await t.rejects(spool.append([make(value)]), { name: 'SpoolFailedError', message: /ENOSPC/ });
        t.match(spool.trouble(), /cannot be written/);
      }
    }
    t.equal(spool.depth().events, kept.length);
    await spool.close();
    const found = await readAll(await open(dir));
    t.equal(found.damagedBytes, 0);
    t.strictSame(
      found.records.map(({ value }) => Buffer.from(value).toString()),
      kept,
    );
  },
);
