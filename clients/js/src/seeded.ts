// Deterministic randomness (PROTOCOL.md §2): the same seed gives the same keys, everywhere.

import { unsafe } from '@noble/ciphers/aes.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concat, type Bytes } from './bytes.js';

/** AES-256 in counter mode, with a little-endian counter that begins at 1, under a key made of the seed. */
export function seeded(seed: Bytes): (count: number) => Bytes {
  const key = sha256(seed);
  key[8] = ((key[8] as number) + 1) % 256;
  const expanded = unsafe.expandKeyLE(key);
  const counter = new Uint8Array(16);
  let rest: Bytes = new Uint8Array(0);
  return count => {
    const blocks = [rest];
    for (let have = rest.length; have < count; have += 16) {
      for (let i = 0; i < 16; i++) {
        counter[i] = ((counter[i] as number) + 1) & 0xff;
        if (counter[i] !== 0) break;
      }
      const block = counter.slice();
      unsafe.encryptBlock(expanded, block);
      blocks.push(block);
    }
    const all = concat(...blocks);
    rest = all.slice(count);
    return all.slice(0, count);
  };
}
