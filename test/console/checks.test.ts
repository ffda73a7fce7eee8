import t from 'tap';
import { asking } from '../../src/console/checks.ts';
import { LIMITS } from '../../src/limits.ts';
import { ManualClock } from '../support/embedded-log.ts';

t.test('a store that hangs is asked once, however many look, and again once it has answered', async (t) => {
  const clock = new ManualClock();
  const answers: PromiseWithResolvers[] = [];
  const check = asking('store', clock, () => {
    const answer = withResolvers();
    answers.push(answer);
    return answer.promise;
  });

  const looks = [check(), check(), check()];
  clock.advance(LIMITS.console.checkTimeoutMs);
  const late = { name: 'store', ok: false, detail: `no answer within ${LIMITS.console.checkTimeoutMs} ms` };
  t.same(await Promise.all(looks), [late, late, late]);
  t.equal(answers.length, 1);

  const look = check();
  answers[0]?.resolve();
  t.same(await look, { name: 'store', ok: true }, 'the late answer is an answer');
  const next = check();
  answers[1]?.reject(new Error('away'));
  t.same(await next, { name: 'store', ok: false, detail: 'away' });
});

interface PromiseWithResolvers {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

function withResolvers(): PromiseWithResolvers {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((fulfil, fail) => {
    resolve = fulfil;
    reject = fail;
  });
  return { promise, resolve: () => resolve(), reject: (error) => reject(error) };
}
