/** Makes `openapi.json` and the tables of `docs/capture.md` anew: `node --import tsx tools/capture-docs.ts`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openApi } from '../src/capture/api/open-api.ts';
import { withSections } from './capture-tables.ts';

const ROOT = join(import.meta.dirname, '..');
const GUIDE = join(ROOT, 'docs/capture.md');

writeFileSync(GUIDE, withSections(readFileSync(GUIDE, 'utf8')));
writeFileSync(join(ROOT, 'openapi.json'), openApi());
