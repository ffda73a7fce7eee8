/** Writes the table of settings into the README, between its markers: `node --import tsx tools/settings-table.ts`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { settingsMarkdown } from '../src/settings.ts';

const README = join(import.meta.dirname, '..', 'README.md');
const SECTION = /(<!-- settings -->\n)[\s\S]*?(<!-- \/settings -->)/;

const text = readFileSync(README, 'utf8');
writeFileSync(
  README,
  text.replace(SECTION, (_, begin, end) => `${begin}\n${settingsMarkdown()}\n\n${end}`),
);
