/** Paths that would lead out of the folder of scripts. */
import type { Attack } from './attack.ts';
import { askAndNote, repeat } from './wire.ts';

const OUT = [
  '..',
  '%2e%2e',
  '..%2f..',
  '%2e%2e%2f',
  '..\\..',
  '..%5c',
  '%252e%252e',
  '....//',
  '.%00.',
  '%c0%ae%c0%ae',
];
const AIMS = ['package.json', 'integrity.json', 'etc/passwd', 'dist/integrity.json', 'data/postgres'];

const PATHS = [
  ...OUT.flatMap((out) =>
    AIMS.flatMap((aim) => [
      `/static/${out}/${aim}`,
      `/static/${`${out}/`.repeat(12)}${aim}`,
      `/static/1.0.0/${out}/${aim}`,
      `/array/${out}/${aim}`,
    ]),
  ),
  '/static//etc/passwd',
  '/static/%2fetc%2fpasswd',
  '/static/file:///etc/passwd',
  '/static/C:%5cWindows%5cwin.ini',
  '/static/array.js%00.txt',
  '/static/array.js/../../package.json',
  '/static/__proto__',
  '/static/constructor',
  `/static/${'a'.repeat(8_000)}`,
  `/static/${'../'.repeat(2_000)}etc/passwd`,
  '/static/.',
  '/static/',
  '/static',
];

/** Words of files that nobody may read. */
const LEAKED = /root:x?:|"dependencies"|"devDependencies"|PG_VERSION|"files"\s*:/;

export const PATH_TRICKS: Attack = {
  name: 'path-tricks',
  does: '../, %2e%2e, encoded slashes, backslashes, NUL, absolute and very long paths under /static',
  run: (target) =>
    repeat(target, 8, async (turn) => {
      const path = PATHS[turn % PATHS.length];
      const { text } = await askAndNote(target, [`GET ${path} HTTP/1.1\r\nHost: attacked\r\n\r\n`]);
      if (LEAKED.test(text)) target.note('a file was read');
    }),
  needs: ['404'],
  allows: ['400', '405'],
};
