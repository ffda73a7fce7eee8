/**
 * posthog-js and the scripts it loads later, from the package that is installed here, so that its HTML snippet needs no
 * other host. There is one version of them, and every path that asks for another gets it, too.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { text } from './answers.ts';
import type { Answer, Exchange } from './exchange.ts';
import type { HttpRequest } from './uws.ts';

const LIST = 'posthog-js/dist/integrity.json';
const TYPE = 'application/javascript; charset=utf-8';
/** `KIND.js`, with a version before it or not; `/static/1/array.js` names only the first part of one. */
const PATH = /^\/static\/(?:(\d[\w.-]{0,31})\/)?([\w.-]{1,64})$/;

const HOUR_SECONDS = 60 * 60;
const YEAR_SECONDS = 365 * 24 * HOUR_SECONDS;

interface Script {
  readonly plain: Buffer;
  readonly gzipped: Buffer;
}

export class Scripts {
  readonly version: string;
  readonly #folder: string;
  /** The names that may be asked for, each with what tells its content from any other. */
  readonly #etags: ReadonlyMap<string, string>;
  /** Read when they are first asked for. */
  readonly #read = new Map<string, Promise<Script>>();

  private constructor(folder: string, version: string, etags: ReadonlyMap<string, string>) {
    this.#folder = folder;
    this.version = version;
    this.#etags = etags;
  }

  /** Takes the package's own list of its scripts. Rejects, with what to do, when the package is not there. */
  static async load(): Promise<Scripts> {
    try {
      const path = createRequire(import.meta.url).resolve(LIST);
      const list: { version: string; files: Record<string, string> } = JSON.parse(
        await readFile(path, 'utf8'),
      );
      return new Scripts(dirname(path), list.version, new Map(Object.entries(list.files)));
    } catch (error) {
      throw new Error(`the package posthog-js is not installed, or not whole: run npm install (${error})`);
    }
  }

  get names(): readonly string[] {
    return [...this.#etags.keys()];
  }

  /** Call it in the handler itself. Never rejects. */
  async handle(exchange: Exchange, req: HttpRequest): Promise<void> {
    const path = req.getUrl();
    const [, pathVersion, name = ''] = PATH.exec(path) ?? [];
    const hash = this.#etags.get(name);
    if (hash === undefined) return exchange.answer(this.#notHere(path));
    const version = pathVersion ?? req.getQuery('v');
    const etag = `"${hash}"`;
    const takesGzip = /\bgzip\b/.test(req.getHeader('accept-encoding'));
    const headers = {
      ETag: etag,
      'Cache-Control':
        version === this.version
          ? `public, max-age=${YEAR_SECONDS}, immutable`
          : `public, max-age=${HOUR_SECONDS}`,
      Vary: 'Accept-Encoding',
      'X-Content-Type-Options': 'nosniff',
    };
    if (req.getHeader('if-none-match').includes(etag)) {
      return exchange.answer({ status: '304 Not Modified', type: TYPE, body: '', headers });
    }
    try {
      const { plain, gzipped } = await this.#script(name);
      exchange.answer({
        status: '200 OK',
        type: TYPE,
        body: takesGzip ? gzipped : plain,
        headers: takesGzip ? { ...headers, 'Content-Encoding': 'gzip' } : headers,
      });
    } catch (error) {
      const fault = `${name} was here at the start and cannot be read: run npm install (${error})`;
      exchange.answer(text('500 Internal Server Error', fault));
    }
  }

  #script(name: string): Promise<Script> {
    const known = this.#read.get(name);
    if (known !== undefined) return known;
    const script = read(join(this.#folder, name));
    this.#read.set(name, script);
    script.catch(() => this.#read.delete(name));
    return script;
  }

  #notHere(path: string): Answer {
    const names = this.names.join(', ');
    return text(
      '404 Not Found',
      `there is no script at ${path}. Of posthog-js ${this.version} there are: ${names}`,
    );
  }
}

async function read(path: string): Promise<Script> {
  const plain = await readFile(path);
  return { plain, gzipped: await promisify(gzip)(plain) };
}
