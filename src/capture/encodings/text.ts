/** Encodings that make text of bytes: forms and base64. */
import { isUtf8 } from 'node:buffer';
import { nextTurn } from '../queue.ts';
import { type Encoding, malformed } from './encoding.ts';

/** The fields that SDKs put into a form; any name would also match short base64, which ends in `=`. */
const FORM_FIELD = /^(?:data|compression|ip|ver|_)=/;

/** The field `data`, percent-decoded; the field `compression` names what is in it. */
export const FORM: Encoding = {
  layer: 'form',
  names: [],
  applies: (bytes) => FORM_FIELD.test(bytes.toString('latin1', 0, 64)),
  async decode(bytes) {
    const form = bytes.toString('latin1');
    const data = fieldOf(form, 'data');
    if (data === undefined) return malformed('the form has no field "data": send the events in it');
    const decoded = await percentDecoded(data);
    if (decoded === undefined || !isUtf8(decoded)) {
      return malformed('the field "data" of the form is not percent-encoded UTF-8');
    }
    const compression = fieldOf(form, 'compression');
    return {
      bytes: looksLike(LOOSE_BASE64, decoded) ? fieldBytes(decoded.toString('latin1')) : decoded,
      ...(compression === undefined ? {} : { announces: compression }),
    };
  },
};

/** Without a regular expression: it may be large. */
function fieldOf(form: string, name: string): string | undefined {
  const start = form.startsWith(`${name}=`) ? 0 : form.indexOf(`&${name}=`) + 1;
  if (start === 0 && !form.startsWith(`${name}=`)) return undefined;
  const end = form.indexOf('&', start);
  return form.slice(start + name.length + 1, end < 0 ? form.length : end);
}

/** After so many characters others have their turn. */
const TURN_CHARS = 512 * 1024;
const PERCENT = 0x25;
const PLUS = 0x2b;
const BLANK = 0x20;
const HEX_VALUES = new Int8Array(256).fill(-1);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  HEX_VALUES[digit.charCodeAt(0)] = value;
  HEX_VALUES[digit.toUpperCase().charCodeAt(0)] = value;
}

/** What a form's field says. `decodeURIComponent` is slow on large ones. `undefined`: a `%` without its digits. */
async function percentDecoded(field: string): Promise<Buffer | undefined> {
  const bytes = Buffer.allocUnsafe(field.length);
  let length = 0;
  let turnAt = TURN_CHARS;
  for (let at = 0; at < field.length; at++) {
    if (at > turnAt) {
      turnAt = at + TURN_CHARS;
      await nextTurn();
    }
    let byte = field.charCodeAt(at);
    if (byte === PLUS) byte = BLANK;
    if (byte === PERCENT) {
      const high = HEX_VALUES[field.charCodeAt(at + 1)] ?? -1;
      const low = HEX_VALUES[field.charCodeAt(at + 2)] ?? -1;
      if (high < 0 || low < 0) return undefined;
      byte = high * 16 + low;
      at += 2;
    }
    bytes[length++] = byte;
  }
  return bytes.subarray(0, length);
}

/** Of a large text only the beginning is looked at: what it decodes to has to be JSON anyway. */
const PROBE_BYTES = 4_096;
const looksLike = (base64: RegExp, bytes: Buffer): boolean =>
  base64.test(bytes.toString('latin1', 0, PROBE_BYTES));

const LOOSE_BASE64 = /^[A-Za-z0-9+/ ]+={0,3}\s*$/;

/** Bytes of a decoded field `data`, of a form or a query. Base64 whose `+` came as a space is repaired. */
export function fieldBytes(text: string): Buffer {
  return Buffer.from(LOOSE_BASE64.test(text.slice(0, PROBE_BYTES)) ? text.replaceAll(' ', '+') : text);
}

const STRICT_BASE64 = /^[A-Za-z0-9+/]+={0,2}\s*$/;

export const BASE64: Encoding = {
  layer: 'text',
  names: ['base64', 'b64'],
  applies: (bytes) => looksLike(STRICT_BASE64, bytes),
  decode: (bytes) => ({ bytes: Buffer.from(bytes.toString('latin1'), 'base64') }),
};
