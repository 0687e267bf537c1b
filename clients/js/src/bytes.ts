// Bytes, and the texts they are written as (PROTOCOL.md §1): base62, its prefixes, and byte strings in JSON.

import { malformed } from './errors.js';

/** Bytes: what `new Uint8Array` makes. */
export type Bytes = Uint8Array;

export const NO_BYTES: Bytes = new Uint8Array(0);

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** More than any record: conversion takes quadratic time, so there is a bound. */
const BYTES_MAX = 1 << 17;
/** Ten digits at a time: 62¹⁰ < 2⁶⁰. */
const CHUNK = 10;
const CHUNK_BASE = 62n ** BigInt(CHUNK);

/** Base62 of bytes: one big-endian integer, with a `0` for each leading zero byte. */
export function base62Encode(bytes: Bytes): string {
  if (bytes.length > BYTES_MAX) throw malformed(`${bytes.length} bytes are too many for base62`);
  let zeros = 0;
  while (zeros < bytes.length && bytes[zeros] === 0) zeros++;
  let n = toBig(bytes);
  const parts: string[] = [];
  while (n > 0n) {
    let rest = n % CHUNK_BASE;
    n /= CHUNK_BASE;
    let digits = '';
    for (let i = 0; i < CHUNK; i++) {
      digits = ALPHABET[Number(rest % 62n)] + digits;
      rest /= 62n;
    }
    parts.push(digits);
  }
  return '0'.repeat(zeros) + parts.reverse().join('').replace(/^0+/, '');
}

/** The bytes of base62; the error names the first character that is none. */
export function base62Decode(text: string): Bytes {
  if (text.length > (BYTES_MAX * 11) / 8) throw malformed(`base62 of ${text.length} characters is too long`);
  let zeros = 0;
  while (text[zeros] === '0') zeros++;
  let n = 0n;
  for (let at = zeros; at < text.length; at += CHUNK) {
    const digits = text.slice(at, at + CHUNK);
    let low = 0n;
    for (let i = 0; i < digits.length; i++) {
      const digit = ALPHABET.indexOf(digits[i] as string);
      if (digit < 0) throw malformed(`character ${JSON.stringify(digits[i])} at position ${at + i} is not base62`);
      low = low * 62n + BigInt(digit);
    }
    n = n * 62n ** BigInt(digits.length) + low;
  }
  return concat(new Uint8Array(zeros), fromBig(n));
}

/** The bytes of a text such as `=…` or `@…`. */
export function decodePrefixed(prefix: string, text: string, what: string): Bytes {
  if (!text.startsWith(prefix)) throw malformed(`${what} must begin with ${prefix}`);
  return base62Decode(text.slice(1));
}

/** A record's hash as text, `=…`. */
export function hashText(bytes: Bytes): string {
  return `=${base62Encode(bytes)}`;
}

/** The 32 bytes of a record's hash. */
export function hashBytes(text: string): Bytes {
  const bytes = decodePrefixed('=', text, 'hash');
  if (bytes.length !== 32) throw malformed(`hash of ${bytes.length} bytes: must be 32`);
  return bytes;
}

/** A number of big-endian bytes. */
export function toBig(bytes: Bytes): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${hex(bytes)}`);
}

/** Big-endian bytes of a number: so many, or as few as it takes. */
export function fromBig(n: bigint, width?: number): Bytes {
  let text = n === 0n ? '' : n.toString(16);
  if (text.length % 2) text = `0${text}`;
  if (width !== undefined) text = text.padStart(width * 2, '0');
  return unhex(text);
}

export function hex(bytes: Bytes): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
}

export function unhex(text: string): Bytes {
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

export function concat(...parts: Bytes[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function equal(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export function compare(a: Bytes, b: Bytes): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

const utf8 = new TextEncoder();
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The UTF-8 bytes of a text. */
export function toBytes(text: string): Bytes {
  return utf8.encode(text);
}

/** Bytes as JSON holds them: text if they are text, else U+0008 and base62. */
export function blobText(bytes: Bytes): string {
  try {
    const text = strict.decode(bytes);
    if (!text.startsWith('\b')) return text;
  } catch {
    // Not text.
  }
  return `\b${base62Encode(bytes)}`;
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(n => Number.isInteger(n) && n >= 0 && n <= 255);
}

/** The bytes of a value in JSON: text, U+0008 and base62, an array of numbers, or null for none. */
export function blobBytes(value: unknown, what = 'byte string'): Bytes {
  if (value === null || value === undefined) return NO_BYTES;
  if (typeof value === 'string') {
    if (value.startsWith('\b')) return base62Decode(value.slice(1));
    if (!value.isWellFormed()) throw malformed(`${what} holds half a surrogate pair`);
    return toBytes(value);
  }
  if (isNumbers(value)) return Uint8Array.from(value);
  throw malformed(`${what} must be text or an array of numbers from 0 to 255`);
}

/** The bytes of a value in JSON that is a text with a prefix, or an array of numbers. */
export function prefixedFromJson(value: unknown, prefix: string, what: string): Bytes {
  if (typeof value === 'string') return decodePrefixed(prefix, value, what);
  if (value === null || value === undefined) return NO_BYTES;
  if (isNumbers(value)) return Uint8Array.from(value);
  throw malformed(`${what} must be text that begins with ${prefix}`);
}

/** JSON whose numbers of 64 bits stay exact: pulse tokens as texts, others where a number cannot hold them. Inside of texts
 * quotes are escaped, so nothing else is meant. */
export function readJson(text: string): unknown {
  return JSON.parse(text.replace(/"(?:(PulseToken)":(\d+)|(Timestamp|Pulse)":(\d{16,}))/g, (_, token, digits, other, many) => `"${token ?? other}":"${digits ?? many}"`));
}

/** A whole number of JSON that may be a text, up to 64 bits. */
export function wholeFromJson(value: unknown, what: string): bigint {
  if (value === null || value === undefined) return 0n;
  const whole = typeof value === 'string' ? /^\d{1,20}$/.test(value) : Number.isSafeInteger(value) && (value as number) >= 0;
  const n = whole ? BigInt(value as string | number) : 1n << 64n;
  if (n >= 1n << 64n) throw malformed(`${what} is not a number from 0 to 2⁶⁴ − 1`);
  return n;
}

/** A record of JSON by its members in lower case. */
export function membersOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(`${what} must be a JSON object`);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name.toLowerCase(), member]));
}

/** A list of JSON; null is an empty one. */
export function listFromJson(value: unknown, what: string, countMax = Infinity): unknown[] {
  const list = value ?? [];
  if (!Array.isArray(list) || list.length > countMax) throw malformed(`${what} are not a list${countMax < Infinity ? ` of at most ${countMax}` : ''}`);
  return list;
}
