// Bytes and the texts they are written as (PROTOCOL.md §1).

export type Bytes = Uint8Array;

/** What the node refuses, or what cannot be. */
export class LfError extends Error {
  constructor(
    message: string,
    override readonly name = 'ErrInvalidParameter',
    readonly status = 0,
  ) {
    super(message);
  }
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

export function base62Encode(bytes: Bytes): string {
  let zeros = 0;
  while (zeros < bytes.length && bytes[zeros] === 0) zeros++;
  // Ten digits at a time: 62¹⁰ < 2⁶⁰.
  const chunk = 62n ** 10n;
  let n = toBig(bytes);
  const parts: string[] = [];
  while (n > 0n) {
    let rest = n % chunk;
    n /= chunk;
    let text = '';
    for (let i = 0; i < 10; i++) {
      text = ALPHABET[Number(rest % 62n)] + text;
      rest /= 62n;
    }
    parts.push(text);
  }
  return '0'.repeat(zeros) + parts.reverse().join('').replace(/^0+/, '');
}

export function base62Decode(text: string): Bytes {
  let n = 0n;
  for (let i = 0; i < text.length; i++) {
    const digit = ALPHABET.indexOf(text[i] as string);
    if (digit < 0) throw new LfError(`${JSON.stringify(text[i])} at ${i} is no base62`);
    n = n * 62n + BigInt(digit);
  }
  const zeros = /^0*/.exec(text)?.[0].length ?? 0;
  return concat(new Uint8Array(zeros), fromBig(n));
}

export function toBig(bytes: Bytes): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${hex(bytes)}`);
}

/** Big-endian, of `width` bytes or as few as it takes. */
export function fromBig(n: bigint, width?: number): Bytes {
  let text = n === 0n ? '' : n.toString(16);
  if (text.length % 2) text = `0${text}`;
  if (width !== undefined) text = text.padStart(width * 2, '0');
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

export function hex(bytes: Bytes): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
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

export function text(string: string): Bytes {
  return utf8.encode(string);
}

/** Bytes as the API writes them. */
export function blobText(bytes: Bytes): string {
  try {
    const string = strict.decode(bytes);
    if (!string.startsWith('\b')) return string;
  } catch {
    // Not text.
  }
  return `\b${base62Encode(bytes)}`;
}

/** Bytes as the API writes them, read. */
export function blobBytes(string: string | number[] | null | undefined): Bytes {
  if (string === null || string === undefined) return new Uint8Array(0);
  if (typeof string !== 'string') return Uint8Array.from(string);
  return string.startsWith('\b') ? base62Decode(string.slice(1)) : text(string);
}
