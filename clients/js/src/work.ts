// Proof of work (PROTOCOL.md §8): what it costs, checking it, and a plain search.
//
// The search is the algorithm itself in one thread of JavaScript: two minutes or so for a small record, which a node's
// vector instructions do in a second or two. It is there for when no node can be asked.

import { unsafe } from '@noble/ciphers/aes.js';
import { md5 } from '@noble/hashes/legacy.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { concat, fromBig, toBig, type Bytes } from './bytes.js';
import { malformed } from './errors.js';
import { tableByWebCrypto, tableInSteps } from './table.js';

export const WORK_BYTES = 14;
const COST_MAX = 0x0f7b0000;
/** The score of a record without work. */
export const SCORE_WITHOUT_WORK = 0x000fffff;
const LONG_SEQUENCE = [0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1];
const SHORT_SEQUENCE = [1, 0, 1, 1, 0];
const SLOTS_BITS_MAX = 24;
/** Colliders have 40 bits. */
const COLLIDER_END = 2 ** 40;
/** What estimates assume, of one thread. */
const HASHES_PER_SECOND = 50_000;
/** How long a search goes on before others get their turn. */
const SLICE_MS = 20;

const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** The square root, rounded to the nearest integer. */
export function isqrtRounded(n: number): number {
  let s = Math.floor(Math.sqrt(n));
  while (s * s > n) s--;
  while ((s + 1) * (s + 1) <= n) s++;
  return n - s * s > s ? s + 1 : s;
}

/** The difficulty that work for so many bytes must have. */
export function workCost(billableBytes: number): number {
  if (billableBytes < 4) return billableBytes + 1;
  const b = 3 * Math.min(billableBytes, 65_536);
  return Math.min(isqrtRounded(b) * b * 3 - 8 * b, 0xffffffff);
}

/** {@link workCost}, times the network's factor. */
export function requiredDifficulty(billableBytes: number, workFactor: number): number {
  return Math.min(workCost(billableBytes) * Math.max(1, workFactor), COST_MAX);
}

/** What work of a difficulty adds to weights. */
export function workScore(difficulty: number): number {
  if (difficulty > COST_MAX) return 0xffffa8db;
  return difficulty ? 16 * difficulty + Math.floor(difficulty / 10_000) * 5369 : 1;
}

let table: Bytes | undefined;

/** The table of 128 MiB, made at the first call, which takes half a minute and more, and kept. {@link prepareWorkTable} is
 * much faster. */
export function workTable(): Bytes {
  if (!table) {
    const making = tableInSteps();
    let step = making.next();
    while (!step.done) step = making.next();
    table = step.value;
  }
  return table;
}

/** Makes the table in slices between which others go on: in seconds where there is WebCrypto (not on a page that came by
 * plain HTTP from another machine). */
export async function prepareWorkTable(signal?: AbortSignal): Promise<void> {
  if (table) return;
  const subtle = (globalThis.crypto as Partial<Crypto> | undefined)?.subtle;
  if (subtle) {
    table = await tableByWebCrypto(subtle, signal);
    return;
  }
  const making = tableInSteps();
  for (let step = making.next(); ; step = making.next()) {
    if (step.done) {
      table = step.value;
      return;
    }
    await new Promise(resolve => setTimeout(resolve));
    signal?.throwIfAborted();
  }
}

/** The hash F for one work input. */
export class WorkHasher {
  private readonly e0: Uint32Array;
  private readonly e1: Uint32Array;
  private readonly t = new Uint8Array(16);
  private readonly t32 = new Uint32Array(this.t.buffer);
  private readonly words = new DataView(this.t.buffer);

  constructor(workInput: Bytes) {
    const keys = sha512(workInput);
    this.e0 = unsafe.expandKeyLE(keys.slice(0, 32));
    this.e1 = unsafe.expandKeyLE(keys.slice(32));
  }

  private encrypt(which: number): void {
    const key = which ? this.e1 : this.e0;
    if (!IS_LITTLE_ENDIAN) {
      unsafe.encryptBlock(key, this.t);
      return;
    }
    // The same on words, which saves two thirds of the time.
    const w = this.t32;
    const { s0, s1, s2, s3 } = unsafe.encrypt(key, w[0] as number, w[1] as number, w[2] as number, w[3] as number);
    w[0] = s0;
    w[1] = s1;
    w[2] = s2;
    w[3] = s3;
  }

  /** F(x). */
  hash(x: Bytes): bigint {
    return this.walk(x, false) as bigint;
  }

  /** F(x) if that takes one round and no pass over the whole table, else undefined: a search is free to look only at what is
   * cheap. */
  cheapHash(x: Bytes): bigint | undefined {
    return this.walk(x, true);
  }

  private walk(x: Bytes, isCheap: boolean): bigint | undefined {
    const { t, words } = this;
    t.set(x);
    this.encrypt(0);
    this.encrypt(1);
    const rounds = 1 + ((t[0] as number) % 6);
    if (isCheap && rounds > 1) return undefined;
    const lookup = workTable();
    const hash = md5.create().update(x).update(t);
    for (let left = rounds; left > 0; left--) {
      for (const which of [0, 1]) {
        for (let at = 0; at < 8; at++) {
          t[at] = (t[at] as number) ^ (lookup[words.getUint32(0, true) & 0x7ffffff] as number);
          this.encrypt(which);
        }
        hash.update(t);
      }
      switch ((t[0] as number) % 8) {
        case 0:
          hash.update(t);
          break;
        case 1:
          hash.update(x).update(t).update(x).update(t);
          break;
        case 2:
          this.encrypt(0);
          break;
        case 3:
          this.encrypt(1);
          this.encrypt(0);
          break;
        case 4:
          for (const which of t[1] === 253 ? LONG_SEQUENCE : SHORT_SEQUENCE) this.encrypt(which);
          break;
        case 5:
          this.encrypt(1);
          hash.update(t);
          this.encrypt(0);
          this.encrypt(1);
          this.encrypt(0);
          if (t[0] === 3) this.encrypt(1);
          else {
            this.encrypt(0);
            hash.update(t);
            this.encrypt(0);
          }
          break;
        case 6: {
          let sum = 0;
          for (let i = 0; i < 16; i++) t[i] = sum = (sum + (t[i] as number)) & 0xff;
          break;
        }
        default: {
          const [low, high] = [words.getBigUint64(0, true), words.getBigUint64(8, true)];
          words.setBigUint64(0, low + low / (high | 1n), true);
        }
      }
      hash.update(t);
      if (t[1] === 17 && (t[7] as number) < 7 && (t[13] as number) > 251) {
        if (isCheap) return undefined;
        hash.update(lookup);
      }
    }
    const m = hash.digest();
    const halves = new DataView(m.buffer, m.byteOffset);
    return halves.getBigUint64(0, true) ^ halves.getBigUint64(8, true);
  }
}

function input(collider: number): Bytes {
  const x = new Uint8Array(16);
  new DataView(x.buffer).setBigUint64(0, BigInt(collider));
  return x;
}

function modulusOf(difficulty: number): bigint {
  return (BigInt(difficulty) << 29n) | 0x1fffffffn;
}

/** {@link verifyWork}, with a table that is made in slices. */
export async function verifyWorkSlowly(workInput: Bytes, work: Bytes, signal?: AbortSignal): Promise<number> {
  await prepareWorkTable(signal);
  return verifyWork(workInput, work);
}

/** The difficulty of 14 bytes of work for a record's work hash; 0 if it does not verify. Uses {@link workTable}. */
export function verifyWork(workInput: Bytes, work: Bytes): number {
  if (work.length !== WORK_BYTES) throw malformed(`work of ${work.length} bytes: must be ${WORK_BYTES}`);
  const [a, b] = [Number(toBig(work.slice(0, 5))), Number(toBig(work.slice(5, 10)))];
  const difficulty = Number(toBig(work.slice(10)));
  if (difficulty === 0 || a === b) return 0;
  const hasher = new WorkHasher(workInput);
  const modulus = modulusOf(difficulty);
  return hasher.hash(input(a)) % modulus === hasher.hash(input(b)) % modulus ? difficulty : 0;
}

/** How many hashes a search takes on average. */
export function expectedHashes(difficulty: number): number {
  return Math.round(Math.sqrt((Math.PI / 2) * Number(modulusOf(difficulty))));
}

/** How long a search here takes on average, roughly, in seconds. */
export function estimateSeconds(difficulty: number): number {
  return expectedHashes(difficulty) / HASHES_PER_SECOND;
}

/** How a search goes. */
export interface WorkProgress {
  hashes: number;
  /** What it takes on average: one search in 20 takes twice as many. */
  expected: number;
}

/** Searches for work, 14 bytes, in slices between which others go on. */
export async function searchWork(
  workInput: Bytes,
  difficulty: number,
  options: { onProgress?: ((progress: WorkProgress) => void) | undefined; signal?: AbortSignal | undefined } = {},
): Promise<Bytes> {
  if (!Number.isInteger(difficulty) || difficulty < 1 || difficulty > 0xffffffff) throw malformed(`difficulty ${difficulty} must be 1 to ${0xffffffff}`);
  await prepareWorkTable(options.signal);
  const hasher = new WorkHasher(workInput);
  const [modulus, expected] = [modulusOf(difficulty), expectedHashes(difficulty)];
  // Each slot keeps the last residue that came there: with four times as many slots as hashes few are lost.
  const bits = Math.min(SLOTS_BITS_MAX, Math.ceil(Math.log2(4 * expected)));
  const mask = (1n << BigInt(bits)) - 1n;
  // Residues plus one: 0 is an empty slot.
  const residues = new BigUint64Array(1 << bits);
  const colliders = new Float64Array(1 << bits);
  const x = new Uint8Array(16);
  const view = new DataView(x.buffer);
  let collider = Number(toBig(crypto.getRandomValues(new Uint8Array(4)))) * 128;
  let hashes = 0;
  for (;;) {
    const until = Date.now() + SLICE_MS;
    while (Date.now() < until) {
      for (let left = 256; left > 0; left--) {
        collider = (collider + 1) % COLLIDER_END;
        view.setUint32(0, collider / 2 ** 32);
        view.setUint32(4, collider);
        const value = hasher.cheapHash(x);
        if (value === undefined) continue;
        hashes++;
        const residue = (value % modulus) + 1n;
        const slot = Number(((residue * 0x9e3779b97f4a7c15n) >> 20n) & mask);
        if (residues[slot] === residue && colliders[slot] !== collider) {
          return concat(fromBig(BigInt(colliders[slot] as number), 5), fromBig(BigInt(collider), 5), fromBig(BigInt(difficulty), 4));
        }
        residues[slot] = residue;
        colliders[slot] = collider;
      }
    }
    options.onProgress?.({ hashes, expected });
    await new Promise(resolve => setTimeout(resolve));
    options.signal?.throwIfAborted();
  }
}
