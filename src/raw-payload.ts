/** What a dead letter keeps of the bytes that could not be processed. */
import { isUtf8 } from 'node:buffer';

/** Text if they are UTF-8, else `base64:…`; at most the first `bytesMax` bytes. */
export function rawPayload(bytes: Uint8Array, bytesMax: number): string {
  const cut = bytes.subarray(0, bytesMax);
  if (!isUtf8(bytes)) return `base64:${Buffer.from(cut).toString('base64')}`;
  // A character that the cut has split is left out.
  return new TextDecoder().decode(cut, { stream: true });
}
