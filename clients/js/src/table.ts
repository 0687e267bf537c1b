// The table of 128 MiB that proof of work reads (PROTOCOL.md §8): by WebCrypto in seconds where that is there, by the
// definition otherwise.

import { cfb } from '@noble/ciphers/aes.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { toBytes, type Bytes } from './bytes.js';

export const TABLE_BYTES = 1 << 27;
const STAGES = 4;
const PIECE_BYTES = 1 << 20;
const SEED = toBytes('My hovercraft is full of eels!');

type OwnBytes = Uint8Array<ArrayBuffer>;

function empty(size: number): OwnBytes {
  const table = new Uint8Array(size);
  table.set(SEED);
  return table;
}

/** The definition, in steps of some milliseconds. `size`, a number of whole MiB, is for tests. */
export function* tableInSteps(size = TABLE_BYTES): Generator<void, Bytes, undefined> {
  const table = empty(size);
  for (let stage = 0; stage < STAGES; stage++) {
    const hash = sha512.create();
    for (let at = 0; at < size; at += PIECE_BYTES) {
      hash.update(table.subarray(at, at + PIECE_BYTES));
      yield;
    }
    const h = hash.digest();
    const key = h.slice(0, 32);
    let iv = h.slice(32, 48);
    for (let pass = 0; pass < 2; pass++) {
      for (let at = 0; at < size; at += PIECE_BYTES) {
        // CFB goes on from its last block.
        const piece = cfb(key, iv).encrypt(table.subarray(at, at + PIECE_BYTES));
        table.set(piece, at);
        iv = piece.slice(-16);
        yield;
      }
    }
  }
  return table;
}

/** The same by WebCrypto, which has no CFB. But CFB's key stream, S₁ = E(IV) and Sᵢ₊₁ = E(Pᵢ ⊕ Sᵢ), is what CBC makes of the
 * plain text with S₁ for its IV. */
export async function tableByWebCrypto(subtle: SubtleCrypto, signal?: AbortSignal, size = TABLE_BYTES): Promise<Bytes> {
  const table = empty(size);
  for (let stage = 0; stage < STAGES; stage++) {
    const h = new Uint8Array(await subtle.digest('SHA-512', table));
    const key = await subtle.importKey('raw', h.slice(0, 32), 'AES-CBC', false, ['encrypt']);
    const cbc = async (iv: OwnBytes, plain: OwnBytes) => new Uint8Array(await subtle.encrypt({ name: 'AES-CBC', iv }, key, plain));
    let stream = (await cbc(new Uint8Array(16), h.slice(32, 48))).slice(0, 16);
    for (let pass = 0; pass < 2; pass++) {
      for (let at = 0; at < size; at += PIECE_BYTES) {
        signal?.throwIfAborted();
        const piece = table.subarray(at, at + PIECE_BYTES);
        const next = await cbc(stream, piece);
        const words = new Uint32Array(table.buffer, at, PIECE_BYTES / 4);
        const first = new Uint32Array(stream.buffer, 0, 4);
        const rest = new Uint32Array(next.buffer, 0, PIECE_BYTES / 4);
        stream = next.slice(PIECE_BYTES - 16, PIECE_BYTES);
        for (let i = 0; i < 4; i++) words[i] = (words[i] as number) ^ (first[i] as number);
        for (let i = 4; i < words.length; i++) words[i] = (words[i] as number) ^ (rest[i - 4] as number);
      }
    }
  }
  return table;
}
