// Value masking (PROTOCOL.md §7): values are checked by a CRC and encrypted with a key that readers know. They may be
// compressed: those of others are decompressed here, ours are stored as they are, which every reader understands.

import { cfb } from '@noble/ciphers/aes.js';
import { sha384 } from '@noble/hashes/sha2.js';
import decoder from 'brotli/dec/decode.js';
import { concat, fromBig, NO_BYTES, type Bytes } from './bytes.js';
import { LfError } from './errors.js';

/** Decompression stops here. */
export const VALUE_BYTES_MAX = 65_536;
/** Shorter values are not compressed. */
const COMPRESS_BYTES_MIN = 25;

/** Brotli, for clients that have it: see `compress` of `lf-client/node`. */
export type Compress = (value: Bytes) => Bytes;

/** CRC-16/XMODEM. */
export function crc16(bytes: Bytes): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}

function cipher(timestamp: bigint, key: Bytes, owner: Bytes) {
  const k = sha384(concat(fromBig(timestamp, 8), key, owner));
  return cfb(k.slice(0, 32), k.slice(32, 48));
}

/** The stored form of a plain value; empty for an empty value. `owner` is its public bytes. */
export function maskValue(value: Bytes, timestamp: bigint, key: Bytes, owner: Bytes, compress?: Compress): Bytes {
  if (value.length === 0) return NO_BYTES;
  const compressed = value.length >= COMPRESS_BYTES_MIN ? compress?.(value) : undefined;
  const isShorter = compressed !== undefined && compressed.length < value.length;
  const payload = isShorter ? compressed : value;
  const head = (crc16(payload) & 0xfffc) | (isShorter ? 1 : 0);
  return cipher(timestamp, key, owner).encrypt(concat(Uint8Array.of(head >> 8, head & 0xff), payload));
}

/** The plain value of a stored one: `ErrIncorrectKey` if the key does not fit. */
export function unmaskValue(stored: Bytes, timestamp: bigint, key: Bytes, owner: Bytes): Bytes {
  if (stored.length < 2) return NO_BYTES;
  const plain = cipher(timestamp, key, owner).decrypt(stored);
  const head = ((plain[0] as number) << 8) | (plain[1] as number);
  const payload = plain.slice(2);
  if ((crc16(payload) & 0xfffc) !== (head & 0xfffc)) throw new LfError('ErrIncorrectKey', 'the masking key does not fit this value');
  return (head & 3) === 1 ? decompressed(payload) : payload;
}

/** Ends decompression. */
const ENOUGH = Symbol('enough');

/** The first {@link VALUE_BYTES_MAX} bytes of a Brotli stream. The decoder's plain function makes as much room as a stream
 * says that it needs, so it gets an output with bounds. It gives nothing of a stream that is cut off, where PROTOCOL.md
 * takes what there is, and does not see bytes after the end; no writer makes either. */
function decompressed(payload: Bytes): Bytes {
  if (payload.length === 0) return NO_BYTES;
  let at = 0;
  const input = {
    read(buffer: Uint8Array, to: number, count: number): number {
      const part = payload.subarray(at, at + count);
      buffer.set(part, to);
      at += part.length;
      return part.length;
    },
  };
  const out = new Uint8Array(VALUE_BYTES_MAX);
  let size = 0;
  const output = {
    buffer: { length: Infinity },
    write(buffer: Uint8Array, count: number): number {
      const part = buffer.subarray(0, Math.min(count, VALUE_BYTES_MAX - size));
      out.set(part, size);
      size += part.length;
      if (part.length < count) throw ENOUGH;
      return count;
    },
  };
  try {
    decoder.BrotliDecompress(input, output);
  } catch (problem) {
    if (problem !== ENOUGH) throw new LfError('ErrInvalidObject', 'the value’s compressed form is damaged');
  }
  return out.slice(0, size);
}
