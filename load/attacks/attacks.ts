/** All attacks, in the order in which they run. */
import type { Attack } from './attack.ts';
import { BODIES } from './bodies.ts';
import { CONNECTIONS } from './connections.ts';
import { HEADS } from './heads.ts';
import { PATH_TRICKS } from './paths.ts';
import { SLOW } from './slow.ts';
import { repeat } from './wire.ts';

/** Nothing at all: what the machine does by itself. */
const CALM: Attack = {
  name: 'none',
  does: 'no attack, for comparison',
  run: (target) => repeat(target, 1, async () => {}, 100),
  needs: [],
  allows: [],
};

export const ATTACKS: readonly Attack[] = [CALM, ...SLOW, ...HEADS, PATH_TRICKS, ...BODIES, ...CONNECTIONS];
