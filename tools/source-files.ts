/** The project's own TypeScript files. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SourceFile } from './import-rules.ts';

const FOLDERS = ['src', 'test', 'tools', 'bench', 'load'];

export function sourceFiles(root: string): SourceFile[] {
  return FOLDERS.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => {
        const path = join(folder, file);
        return { path, text: readFileSync(join(root, path), 'utf8') };
      }),
  );
}
