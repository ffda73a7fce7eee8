import fc from 'fast-check';
import t from 'tap';
import { rowOf } from '../../src/loader/row.ts';

t.test('a row is the record with its time, offset and partition', async (t) => {
  const object = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue(), { minKeys: 1 });
  const position = fc.record({
    offset: fc.nat(),
    partition: fc.nat(63),
    timestamp: fc.integer({ min: -1, max: 4_102_444_800_000 }),
  });
  fc.assert(
    fc.property(object, position, fc.boolean(), (value, at, withPartition) => {
      const text = JSON.stringify(value);
      const record = {
        ...at,
        topic: 'clickhouse_person',
        key: null,
        value: Buffer.from(text),
        headers: {},
      } as const;
      const row = Buffer.from(rowOf(record, withPartition) ?? []).toString();
      const seconds = Math.max(0, Math.floor(at.timestamp / 1000));
      const partition = withPartition ? { _partition: at.partition } : {};
      t.same(JSON.parse(row), {
        ...JSON.parse(text),
        _timestamp: seconds,
        _offset: at.offset,
        ...partition,
      });
    }),
  );
});

t.test('what does not end as an object does is no row', async (t) => {
  for (const text of ['', '[1]', '"x"', '{"a":1}\n']) {
    const value = Buffer.from(text);
    const record = {
      topic: 'clickhouse_person',
      key: null,
      headers: {},
      value,
      partition: 0,
      offset: 0,
      timestamp: 0,
    } as const;
    t.equal(rowOf(record, false), undefined, text);
  }
});
