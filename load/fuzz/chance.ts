/** Chance for one input: everything about it comes from the seed and its number. */
import { type Random, seededRandom } from '../support/random.ts';

export interface Chance extends Random {
  /** True once in so many times. */
  oneIn(times: number): boolean;
  /** `list` must not be empty. */
  pick<T>(list: readonly T[]): T;
  /** `from` and `to` included. */
  between(from: number, to: number): number;
  bytes(length: number): Buffer;
}

export function chanceOf(seed: number, number: number): Chance {
  const random = seededRandom((Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b)) >>> 0);
  const between = (from: number, to: number): number => from + random.integer(to - from + 1);
  return {
    ...random,
    between,
    oneIn: (times) => random.integer(times) === 0,
    pick<T>(list: readonly T[]): T {
      const [first] = list;
      const found = list[random.integer(list.length)] ?? first;
      if (found === undefined) throw new Error('nothing to pick from');
      return found;
    },
    bytes: (length) => Buffer.from(Array.from({ length }, () => random.integer(256))),
  };
}
