// Selectors (PROTOCOL.md §6): the names under which records are found, as people write them, as nodes see them, and as
// records prove them. Names never leave; keys do.

import { ecdsa } from '@noble/curves/abstract/weierstrass.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { blobBytes, concat, fromBig, hex, membersOf, toBig, toBytes, base62Encode, type Bytes } from './bytes.js';
import { drawScalar, keyHash, P160, recover, type Point } from './curves.js';
import { invalid, LfError, malformed } from './errors.js';
import { ORDINAL_MAX, OrdinalMask } from './ordinal.js';
import { seeded } from './seeded.js';

export const SELECTORS_MAX = 15;
/** The bytes of a selector in a record. */
export const CLAIM_BYTES = 57;

const NAMES_KEPT_MAX = 64;

/** A name and the ordinals meant, both included. */
export interface Selector {
  name: Bytes;
  from: bigint;
  to: bigint;
}

/** Reads `name` (ordinal 0), `name#ordinal`, `name#from#to` or `name#` (all ordinals). The name is unescaped as a JSON
 * string is, then `\#` is a literal `#`. */
export function parseSelector(input: string): Selector {
  const shown = JSON.stringify(input);
  const [name = '', ...numbers] = split(unescape(input));
  const number = (digits: string): bigint => {
    if (/^[0-9]+$/.test(digits)) {
      const significant = digits.replace(/^0+(?=.)/, '');
      if (significant.length <= 20 && BigInt(significant) <= ORDINAL_MAX) return BigInt(significant);
    }
    throw invalid(`selector ${shown}: ordinal ${JSON.stringify(digits)} is not a number from 0 to ${ORDINAL_MAX}`);
  };
  if (!name.isWellFormed()) throw invalid(`selector ${shown} holds half a surrogate pair`);
  const bytes = toBytes(name);
  if (numbers.length === 0) return { name: bytes, from: 0n, to: 0n };
  if (numbers.length === 1 && numbers[0] === '') return { name: bytes, from: 0n, to: ORDINAL_MAX };
  if (numbers.length > 2) throw invalid(`selector ${shown} has more than two ordinals`);
  const from = number(numbers[0] as string);
  const to = numbers.length === 2 ? number(numbers[1] as string) : from;
  if (from > to) throw invalid(`selector ${shown}: the range ends before it begins`);
  return { name: bytes, from, to };
}

/** The text of a selector, which `parseSelector` reads again. Two kinds of names cannot be written: with bytes that are
 * not UTF-8 (they show as U+FFFD), and with a backslash at the end where an ordinal follows. */
export function formatSelector(selector: Selector): string {
  const name = new TextDecoder('utf-8', { ignoreBOM: true })
    .decode(selector.name)
    .replace(/[\\#\u0000-\u001f\u007f-\u009f]/g, c =>
      c === '\\' ? '\\\\' : c === '#' ? '\\\\#' : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  if (selector.from === selector.to) return `${name}#${selector.from}`;
  return selector.from === 0n && selector.to === ORDINAL_MAX ? `${name}#` : `${name}#${selector.from}#${selector.to}`;
}

/** One selector or several, as texts or read already. */
export type SelectorsLike = string | Selector | readonly (string | Selector)[];

/** 1 to 15 selectors. */
export function selectorsOf(given: SelectorsLike): Selector[] {
  const several = Array.isArray(given) ? (given as readonly (string | Selector)[]) : [given as string | Selector];
  if (several.length < 1 || several.length > SELECTORS_MAX) throw invalid(`${several.length} selectors: a record has 1 to ${SELECTORS_MAX}`);
  return several.map(one => (typeof one === 'string' ? parseSelector(one) : one));
}

/** Splits at every `#` without a backslash before it. */
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
    if (plain === undefined) throw invalid(`selector ${JSON.stringify(input)}: ${JSON.stringify(escape)} is no escape of a JSON string`);
    return plain;
  });
}

/** A plain name with all that follows from it. Making one takes milliseconds: the last ones are kept. */
export class Name {
  readonly #secret: bigint;
  /** The compressed public key, 21 bytes. */
  readonly id: Bytes;
  readonly keyHash: Bytes;
  #mask: OrdinalMask | undefined;

  private constructor(readonly name: Bytes) {
    this.#secret = drawScalar(P160, seeded(name));
    const point = P160.Point.BASE.multiply(this.#secret);
    this.id = point.toBytes(true);
    this.keyHash = keyHash(P160, point);
  }

  private static readonly kept = new Map<string, Name>();

  static of(name: Bytes): Name {
    const key = hex(name);
    let found = Name.kept.get(key);
    if (!found) {
      found = new Name(name);
      if (Name.kept.size >= NAMES_KEPT_MAX) Name.kept.delete(Name.kept.keys().next().value as string);
    } else Name.kept.delete(key);
    // The one used last comes last.
    Name.kept.set(key, found);
    return found;
  }

  get mask(): OrdinalMask {
    return (this.#mask ??= new OrdinalMask(this.name));
  }

  /** The 32-byte selector key of an ordinal. */
  key(ordinal: bigint): Bytes {
    return addOrdinal(this.keyHash, this.mask.mask(ordinal));
  }

  /** The first and the last key that this name can have. */
  get allKeys(): [Bytes, Bytes] {
    const first = addOrdinal(this.keyHash, new Uint8Array(16));
    try {
      return [first, this.key(ORDINAL_MAX)];
    } catch {
      // A rare name cannot mask the highest ordinal: then, the highest sum that is not subject to the odd carry.
      const highest = new Uint8Array(16).fill(0xff);
      highest[7] = 0xfe;
      return [first, addOrdinal(this.keyHash, highest)];
    }
  }

  /** Proves in a record that its maker knows the name. */
  claim(bodyHash: Bytes, ordinal: bigint): Claim {
    const masked = this.mask.mask(ordinal);
    const digest = sha256(concat(bodyHash, masked));
    const signature = ecdsa(P160.Point, sha256).sign(digest.slice(0, 20), fromBig(this.#secret, 20), {
      prehash: false,
      lowS: true,
      format: 'recovered',
    });
    // noble puts the recovery number first: its lowest bit is the parity of R's y.
    return new Claim(masked, signature.slice(1), (signature[0] as number) & 1);
  }
}

/** A key: H(Q) plus a masked ordinal, with the odd carry of PROTOCOL.md §6. */
export function addOrdinal(hash: Bytes, masked: Bytes): Bytes {
  const words = (bytes: Bytes) => Array.from({ length: bytes.length / 8 }, (_, i) => toBig(bytes.slice(8 * i, 8 * i + 8)));
  const wrap = (n: bigint) => BigInt.asUintN(64, n);
  const one = (x: boolean) => (x ? 1n : 0n);
  let [A, B, C, D] = words(hash) as [bigint, bigint, bigint, bigint];
  const [E, F] = words(masked) as [bigint, bigint];
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

/** What a query sends for a selector, the first and the last key. */
export function selectorKeyRange(selector: Selector): [Bytes, Bytes] {
  const name = Name.of(selector.name);
  if (selector.from === 0n && selector.to === ORDINAL_MAX) return name.allKeys;
  const first = name.key(selector.from);
  return [first, selector.to === selector.from ? first : name.key(selector.to)];
}

/** A selector inside a record: the masked ordinal, and the proof that its maker knew the name. */
export class Claim {
  constructor(
    /** Masked, 16 bytes. */
    readonly ordinal: Bytes,
    /** r ‖ s, 40 bytes. */
    readonly signature: Bytes,
    /** Of R's y: 0 or 1. */
    readonly parity: number,
  ) {}

  static decode(bytes: Bytes): Claim {
    const [first = 0] = bytes;
    if (bytes.length !== CLAIM_BYTES) throw malformed(`selector of ${bytes.length} bytes: must be ${CLAIM_BYTES}`);
    if (first & 15 || first >> 4 > 1) throw malformed(`selector of unknown type or parity ${first}`);
    return new Claim(bytes.slice(1, 17), bytes.slice(17), first >> 4);
  }

  encode(): Bytes {
    return concat(Uint8Array.of(this.parity << 4), this.ordinal, this.signature);
  }

  static fromJson(value: unknown): Claim {
    const members = membersOf(value, 'selector');
    const [ordinal, claim] = [blobBytes(members.ordinal, 'ordinal'), blobBytes(members.claim, 'claim')];
    if (ordinal.length !== 16) throw malformed(`ordinal of ${ordinal.length} bytes: must be 16`);
    if (claim.length !== 41 || (claim[40] as number) > 1) throw malformed('claim must be 41 bytes and end in its parity');
    return new Claim(ordinal, claim.slice(0, 40), claim[40] as number);
  }

  toJson(): { Ordinal: string; Claim: string } {
    return { Ordinal: `\b${base62Encode(this.ordinal)}`, Claim: `\b${base62Encode(this.claim)}` };
  }

  /** The claim as JSON has it: r ‖ s ‖ parity, 41 bytes. */
  get claim(): Bytes {
    return concat(this.signature, Uint8Array.of(this.parity));
  }

  /** The id (21 bytes) and key (32 bytes) of the selector in a record with this body hash. */
  recover(bodyHash: Bytes): { id: Bytes; key: Bytes } {
    let point: Point;
    try {
      point = recover(P160, sha256(concat(bodyHash, this.ordinal)), this.signature, this.parity);
    } catch {
      throw new LfError('ErrRecordInvalid', 'no key can be recovered from a selector');
    }
    return { id: point.toBytes(true), key: addOrdinal(keyHash(P160, point), this.ordinal) };
  }
}
