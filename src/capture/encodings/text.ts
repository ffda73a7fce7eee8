/** Encodings that make text of bytes: forms and base64. */
import { type Encoding, malformed } from './encoding.ts';

/** The fields that SDKs put into a form; any name would also match short base64, which ends in `=`. */
const FORM_FIELD = /^(?:data|compression|ip|ver|_)=/;
const FORM_DATA = /(?:^|&)data=([^&]*)/;
const FORM_COMPRESSION = /(?:^|&)compression=([^&]*)/;

/** The field `data`, percent-decoded; the field `compression` names what is in it. */
export const FORM: Encoding = {
  layer: 'form',
  names: [],
  applies: (bytes) => FORM_FIELD.test(bytes.toString('latin1', 0, 64)),
  decode(bytes) {
    const form = bytes.toString('latin1');
    const data = FORM_DATA.exec(form)?.[1];
    if (data === undefined) return malformed('the form has no field "data": send the events in it');
    try {
      const text = decodeURIComponent(data.replaceAll('+', ' '));
      const compression = FORM_COMPRESSION.exec(form)?.[1];
      return { bytes: fieldBytes(text), ...(compression === undefined ? {} : { announces: compression }) };
    } catch {
      return malformed('the field "data" of the form is not percent-encoded UTF-8');
    }
  },
};

const LOOSE_BASE64 = /^[A-Za-z0-9+/ ]+={0,3}\s*$/;

/** Bytes of a decoded field `data`, of a form or a query. Base64 whose `+` came as a space is repaired. */
export function fieldBytes(text: string): Buffer {
  return Buffer.from(LOOSE_BASE64.test(text) ? text.replaceAll(' ', '+') : text);
}

const STRICT_BASE64 = /^[A-Za-z0-9+/]+={0,2}\s*$/;

export const BASE64: Encoding = {
  layer: 'text',
  names: ['base64', 'b64'],
  applies: (bytes) => STRICT_BASE64.test(bytes.toString('latin1')),
  decode: (bytes) => ({ bytes: Buffer.from(bytes.toString('latin1'), 'base64') }),
};
