// Ordinals (PROTOCOL.md §5): numbers masked so that their order stays, and nothing else shows without the name.

import { unsafe } from '@noble/ciphers/aes.js';
import { sha512 } from '@noble/hashes/sha2.js';
import type { Bytes } from './bytes.js';
import { invalid, malformed } from './errors.js';

/** The highest ordinal. */
export const ORDINAL_MAX = 2n ** 64n - 1n;

const ENTRIES = 16_384;

/** The alphabet of one 16-bit column, and the cipher that picks among the words of a value. */
class Column {
  private readonly table = new Uint32Array(ENTRIES);
  private readonly block = new Uint8Array(16);
  private readonly key: Uint32Array;

  constructor(key: Bytes) {
    this.key = unsafe.expandKeyLE(key);
    while (!this.draw());
  }

  /** One attempt at an alphabet. */
  private draw(): boolean {
    const { table: t, block: b } = this;
    const words = new DataView(b.buffer);
    unsafe.encryptBlock(this.key, b);
    t[0] = words.getUint32(0, true) % 262_143;
    for (let i = 1; i < ENTRIES; i++) {
      if (i % 4 === 0) unsafe.encryptBlock(this.key, b);
      const span = Math.floor((0xffffffff - (t[i - 1] as number)) / (ENTRIES - i));
      if (span === 0) return false;
      t[i] = (t[i - 1] as number) + 1 + (words.getUint32(4 * (i % 4), true) % span);
    }
    for (let i = 1; i < ENTRIES; i++) {
      const gap = ((t[i] as number) - (t[i - 1] as number)) >>> 0;
      if (gap < 16 || gap > (t[i] as number)) t[i] = (t[i] as number) + 16;
    }
    return (t[ENTRIES - 1] as number) > (t[0] as number);
  }

  /** A fourth of what lies between a value's place and the next. */
  private step(base: number): number {
    const low = this.table[base] as number;
    const gap = base === ENTRIES - 1 ? 0xffffffff - low : ((this.table[base + 1] as number) - low) >>> 0;
    return Math.floor(gap / 4);
  }

  /** `before`: the ordinal with this column and those after it zeroed. */
  mask(value: number, before: bigint): number {
    const base = value >> 2;
    const step = this.step(base);
    // One column in 10⁵ has a cell without room: there is no ordinal for it.
    if (step === 0) throw invalid('an ordinal that cannot be used with this name: take another');
    const b = this.block.slice();
    const words = new DataView(b.buffer);
    words.setBigUint64(0, before, true);
    unsafe.encryptBlock(this.key, b);
    return ((this.table[base] as number) + step * (value & 3) + (words.getUint32(0, true) % step)) >>> 0;
  }

  unmask(word: number): number {
    let [low, high] = [0, ENTRIES];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.table[middle] as number) <= word) low = middle + 1;
      else high = middle;
    }
    const base = low - 1;
    const step = base < 0 ? 0 : this.step(base);
    const quotient = step === 0 ? 4 : Math.floor((word - (this.table[base] as number)) / step);
    if (quotient > 3) throw malformed('not an ordinal of this name');
    return 4 * base + quotient;
  }
}

/** Masks ordinals under a name. Making one takes milliseconds, using it microseconds. */
export class OrdinalMask {
  private readonly columns: Column[];

  constructor(name: Bytes) {
    const hash = sha512(name);
    this.columns = [0, 1, 2, 3].map(k => new Column(hash.slice(16 * k, 16 * k + 16)));
  }

  /** The 16 bytes of an ordinal. */
  mask(ordinal: bigint): Bytes {
    if (ordinal < 0n || ordinal > ORDINAL_MAX) throw invalid(`ordinal ${ordinal} is not a number from 0 to ${ORDINAL_MAX}`);
    const out = new Uint8Array(16);
    const view = new DataView(out.buffer);
    for (const [k, column] of this.columns.entries()) {
      const shift = BigInt(48 - 16 * k);
      const before = (ordinal >> (shift + 16n)) << (shift + 16n);
      view.setUint32(4 * k, column.mask(Number((ordinal >> shift) & 0xffffn), before));
    }
    return out;
  }

  /** The ordinal of 16 masked bytes; an error if they were not masked under this name. */
  unmask(masked: Bytes): bigint {
    if (masked.length !== 16) throw malformed(`ordinal of ${masked.length} bytes: must be 16`);
    const view = new DataView(masked.buffer, masked.byteOffset, 16);
    return this.columns.reduce((sum, column, k) => (sum << 16n) | BigInt(column.unmask(view.getUint32(4 * k))), 0n);
  }
}
