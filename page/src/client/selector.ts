// Selectors: as people write them, and as nodes see them (PROTOCOL.md §§2, 5, 6). Names never leave; keys do.

import { unsafe } from '@noble/ciphers/aes.js';
import { weierstrass, type WeierstrassPoint } from '@noble/curves/abstract/weierstrass.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { concat, fromBig, LfError, text, toBig, type Bytes } from './bytes';

const hexBig = (digits: string) => BigInt(`0x${digits}`);

/** RFC 5639. */
export const Brainpool = weierstrass({
  p: hexBig('E95E4A5F737059DC60DFC7AD95B3D8139515620F'),
  n: hexBig('E95E4A5F737059DC60DF5991D45029409E60FC09'),
  h: 1n,
  a: hexBig('E95E4A5F737059DC60DFC7AD95B3D8139515620C'),
  b: hexBig('7A556B6DAE535B7B51ED2C4D7DAA7A0B5C55F380'),
  Gx: hexBig('B199B13B9B34EFC1397E64BAEB05ACC265FF2378'),
  Gy: hexBig('ADD6718B7C7C1961F0991B842443772152C9E0AD'),
});
export type Point = WeierstrassPoint<bigint>;

export interface Selector {
  name: Bytes;
  /** Ordinals, both included. */
  from: bigint;
  to: bigint;
}

const ORDINAL_MAX = 2n ** 64n - 1n;

/** `name`, `name#ordinal`, `name#from#to`, `name#` (all ordinals); escapes as in JSON, `\#` is a literal #. */
export function parseSelector(input: string): Selector {
  const shown = JSON.stringify(input);
  const [name = '', ...numbers] = split(unescape(input));
  const number = (digits: string): bigint => {
    if (!/^[0-9]+$/.test(digits) || BigInt(digits) > ORDINAL_MAX) {
      throw new LfError(`selector ${shown}: ordinal ${JSON.stringify(digits)} is not a number from 0 to ${ORDINAL_MAX}`);
    }
    return BigInt(digits);
  };
  const bytes = text(name);
  if (numbers.length === 0) return { name: bytes, from: 0n, to: 0n };
  if (numbers.length === 1 && numbers[0] === '') return { name: bytes, from: 0n, to: ORDINAL_MAX };
  if (numbers.length > 2) throw new LfError(`selector ${shown} has more than two ordinals`);
  const from = number(numbers[0] as string);
  const to = numbers.length === 2 ? number(numbers[1] as string) : from;
  if (from > to) throw new LfError(`selector ${shown}: the range ends before it begins`);
  return { name: bytes, from, to };
}

/** A selector as text that is read as the same again. */
export function formatSelector(selector: Selector): string {
  const name = new TextDecoder()
    .decode(selector.name)
    .replace(/[\\#\u0000-\u001f\u007f-\u009f]/g, c =>
      c === '\\' ? '\\\\' : c === '#' ? '\\\\#' : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  if (selector.from === selector.to) return `${name}#${selector.from}`;
  return selector.from === 0n && selector.to === ORDINAL_MAX ? `${name}#` : `${name}#${selector.from}#${selector.to}`;
}

function split(input: string): string[] {
  const parts = [''];
  for (let i = 0; i < input.length; i++) {
    const c = input[i] as string;
    if (c === '\\' && input[i + 1] === '#') {
      parts[parts.length - 1] += '#';
      i++;
    } else if (c === '#') parts.push('');
    else parts[parts.length - 1] += c;
  }
  return parts;
}

const ESCAPES: Record<string, string> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', '#': '\\#' };

function unescape(input: string): string {
  return input.replace(/\\(u[0-9a-fA-F]{4}|[^]?)/g, (escape, kind: string) => {
    const plain = kind.length === 5 ? String.fromCharCode(parseInt(kind.slice(1), 16)) : ESCAPES[kind];
    if (plain === undefined) throw new LfError(`selector ${JSON.stringify(input)}: ${JSON.stringify(escape)} is no escape of a JSON string`);
    return plain;
  });
}

// Deterministic randomness.

export function seeded(seed: Bytes): (count: number) => Bytes {
  const key = sha256(seed);
  key[8] = ((key[8] as number) + 1) % 256;
  const expanded = unsafe.expandKeyLE(key);
  const counter = new Uint8Array(16);
  let rest = new Uint8Array(0);
  return count => {
    while (rest.length < count) {
      for (let i = 0; i < 16; i++) {
        counter[i] = ((counter[i] as number) + 1) & 0xff;
        if (counter[i] !== 0) break;
      }
      const block = counter.slice();
      unsafe.encryptBlock(expanded, block);
      rest = concat(rest, block) as Uint8Array<ArrayBuffer>;
    }
    const out = rest.slice(0, count);
    rest = rest.slice(count);
    return out;
  };
}

/** A private scalar from a stream of random bytes, for an order of so many bits. */
export function scalar(random: (count: number) => Bytes, order: bigint): bigint {
  const bits = order.toString(2).length;
  return (toBig(random(Math.floor(bits / 8) + 8)) % (order - 1n)) + 1n;
}

/** H(Q). */
export function keyHash(point: Point, width: number, curve: string): Bytes {
  const { x, y } = point.toAffine();
  const b = concat(fromBig(x, width), fromBig(y, width), text(curve));
  return sha256(concat(b, sha512(b)));
}

// Ordinals.

const TABLE = 16_384;

class Column {
  readonly table = new Uint32Array(TABLE);
  readonly block = new Uint8Array(16);
  readonly key: Uint32Array;

  constructor(key: Bytes) {
    this.key = unsafe.expandKeyLE(key);
    const { table: t, block: b } = this;
    const words = new DataView(b.buffer);
    const word = (i: number) => words.getUint32(4 * i, true);
    const draw = (): boolean => {
      unsafe.encryptBlock(this.key, b);
      t[0] = word(0) % 262_143;
      for (let i = 1; i < TABLE; i++) {
        if (i % 4 === 0) unsafe.encryptBlock(this.key, b);
        const span = Math.floor((0xffffffff - (t[i - 1] as number)) / (TABLE - i));
        if (span === 0) return false;
        t[i] = (t[i - 1] as number) + 1 + (word(i % 4) % span);
      }
      for (let i = 1; i < TABLE; i++) {
        const gap = ((t[i] as number) - (t[i - 1] as number)) >>> 0;
        if (gap < 16 || gap > (t[i] as number)) t[i] = (t[i] as number) + 16;
      }
      return (t[TABLE - 1] as number) > (t[0] as number);
    };
    while (!draw());
  }

  /** What lies between a value's place and the next. */
  private step(base: number): number {
    const low = this.table[base] as number;
    const gap = base === TABLE - 1 ? 0xffffffff - low : ((this.table[base + 1] as number) - low) >>> 0;
    return Math.floor(gap / 4);
  }

  /** `before`: the ordinal with this column and those after it zeroed. */
  mask(value: number, before: bigint): number {
    const base = value >> 2;
    const step = this.step(base);
    if (step === 0) throw new LfError('this name cannot have this ordinal: take another');
    const b = this.block.slice();
    const words = new DataView(b.buffer);
    words.setBigUint64(0, before, true);
    unsafe.encryptBlock(this.key, b);
    return ((this.table[base] as number) + step * (value & 3) + (words.getUint32(0, true) % step)) >>> 0;
  }

  unmask(word: number): number {
    let [low, high] = [0, TABLE];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.table[middle] as number) <= word) low = middle + 1;
      else high = middle;
    }
    const base = low - 1;
    const step = base < 0 ? 0 : this.step(base);
    const quotient = step === 0 ? 4 : Math.floor((word - (this.table[base] as number)) / step);
    if (quotient > 3) throw new LfError('this ordinal was not masked with this name');
    return 4 * base + quotient;
  }
}

/** A name, with what it costs time to find out about it. */
export class Name {
  readonly secret: bigint;
  readonly point: Point;
  readonly hash: Bytes;
  private drawn: Column[] | undefined;

  private constructor(readonly name: Bytes) {
    this.secret = scalar(seeded(name), Brainpool.Fn.ORDER);
    this.point = Brainpool.BASE.multiply(this.secret);
    this.hash = keyHash(this.point, 20, 'brainpoolP160t1');
  }

  private static readonly known = new Map<string, Name>();
  private static readonly KNOWN_MAX = 64;

  static of(name: Bytes): Name {
    const key = toBig(concat(Uint8Array.of(1), name)).toString(36);
    let found = Name.known.get(key);
    if (!found) {
      if (Name.known.size >= Name.KNOWN_MAX) Name.known.delete(Name.known.keys().next().value as string);
      Name.known.set(key, (found = new Name(name)));
    }
    return found;
  }

  private get columns(): Column[] {
    const hash = sha512(this.name);
    return (this.drawn ??= [0, 1, 2, 3].map(k => new Column(hash.slice(16 * k, 16 * k + 16))));
  }

  mask(ordinal: bigint): Bytes {
    const out = new Uint8Array(16);
    const view = new DataView(out.buffer);
    for (const [k, column] of this.columns.entries()) {
      const shift = BigInt(48 - 16 * k);
      const before = k === 0 ? 0n : (ordinal >> (shift + 16n)) << (shift + 16n);
      view.setUint32(4 * k, column.mask(Number((ordinal >> shift) & 0xffffn), before));
    }
    return out;
  }

  unmask(masked: Bytes): bigint {
    const view = new DataView(masked.buffer, masked.byteOffset, 16);
    return this.columns.reduce((sum, column, k) => (sum << 16n) | BigInt(column.unmask(view.getUint32(4 * k))), 0n);
  }

  key(ordinal: bigint): Bytes {
    return addOrdinal(this.hash, this.mask(ordinal));
  }

  /** The first and last key that the name can have. */
  get all(): [Bytes, Bytes] {
    const first = addOrdinal(this.hash, new Uint8Array(16));
    try {
      return [first, this.key(ORDINAL_MAX)];
    } catch {
      const highest = new Uint8Array(16).fill(0xff);
      highest[7] = 0xfe;
      return [first, addOrdinal(this.hash, highest)];
    }
  }
}

/** A key: H(Q) plus a masked ordinal, with the reference's carries. */
export function addOrdinal(hash: Bytes, masked: Bytes): Bytes {
  const words = (bytes: Bytes) => Array.from({ length: bytes.length / 8 }, (_, i) => toBig(bytes.slice(8 * i, 8 * i + 8)));
  const wrap = (n: bigint) => BigInt.asUintN(64, n);
  let [A, B, C, D] = words(hash) as [bigint, bigint, bigint, bigint];
  const [E, F] = words(masked) as [bigint, bigint];
  const one = (x: boolean) => (x ? 1n : 0n);
  const d = wrap(D + F);
  const c = wrap(C + one(d < D));
  let b = wrap(B + one(c < C));
  const e = wrap(c + E);
  if (e < C) {
    b = wrap(b + 1n);
    A = wrap(A + one(b < B));
  }
  return concat(fromBig(A, 8), fromBig(b, 8), fromBig(e, 8), fromBig(d, 8));
}

/** What a query sends for a selector. */
export function selectorKeyRange(selector: Selector): [Bytes, Bytes] {
  const name = Name.of(selector.name);
  if (selector.from === 0n && selector.to === ORDINAL_MAX) return name.all;
  const first = name.key(selector.from);
  return [first, selector.to === selector.from ? first : name.key(selector.to)];
}
