/** Identifiers that are derived are those of the standard. */
import fc from 'fast-check';
import t from 'tap';
import { v5 } from 'uuid';
import { deriverIn } from '../src/ids.ts';

t.test('any name in any namespace has the UUID that the uuid library gives it', async () => {
  fc.assert(
    fc.property(fc.uuid(), fc.string({ unit: 'binary', maxLength: 1_000 }), (namespace, name) => {
      t.equal(deriverIn(namespace)(name), v5(name, namespace));
    }),
  );
});
