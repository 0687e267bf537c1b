// A reader of DER, as much of it as certificates need: definite lengths in their shortest form, nothing left over.

import { toBig, type Bytes } from './bytes.js';
import { malformed } from './errors.js';

/** Tags that certificates use. */
export const Tag = { boolean: 0x01, integer: 0x02, bits: 0x03, octets: 0x04, oid: 0x06, sequence: 0x30, set: 0x31, utcTime: 0x17, generalTime: 0x18 } as const;

/** One value. */
export interface Der {
  tag: number;
  content: Bytes;
  /** The whole of it, with tag and length. */
  bytes: Bytes;
}

/** Reads values in a row. */
export class DerReader {
  private at = 0;

  constructor(private readonly bytes: Bytes) {}

  get isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }

  /** The tag of the next value; undefined at the end. */
  get tag(): number | undefined {
    return this.bytes[this.at];
  }

  /** The next value, which must have this tag, if one is given. */
  next(tag?: number): Der {
    const [start, first] = [this.at, this.bytes[this.at + 1]];
    const found = this.bytes[start];
    if (found === undefined || first === undefined || (found & 31) === 31) throw malformed('DER ends within a value');
    let length = first;
    let from = start + 2;
    if (first >= 0x80) {
      const count = first & 0x7f;
      const digits = this.bytes.subarray(from, from + count);
      if (count < 1 || count > 3 || digits.length < count) throw malformed('DER has a length of no known form');
      length = Number(toBig(digits));
      if (length < 0x80 || digits[0] === 0) throw malformed('DER has a length that is not in its shortest form');
      from += count;
    }
    if (from + length > this.bytes.length) throw malformed('DER ends within a value');
    if (tag !== undefined && found !== tag) throw malformed(`DER has a value of type ${found} where ${tag} must be`);
    this.at = from + length;
    return { tag: found, content: this.bytes.slice(from, this.at), bytes: this.bytes.slice(start, this.at) };
  }

  /** Nothing may follow. */
  end(): void {
    if (!this.isAtEnd) throw malformed('DER goes on after its end');
  }
}

/** The values in a sequence or set. */
export function inside(value: Der): DerReader {
  return new DerReader(value.content);
}

/** An integer that is not negative. */
export function whole(value: Der): bigint {
  const [first = 0x80, second = 0x80] = value.content;
  if (first >= 0x80 || (first === 0 && value.content.length > 1 && second < 0x80)) throw malformed('DER has an integer that is negative or too long');
  return toBig(value.content);
}

/** The bytes of a bit string of whole bytes. */
export function wholeBits(value: Der): Bytes {
  if (value.content[0] !== 0) throw malformed('DER has a bit string of broken bytes');
  return value.content.slice(1);
}

/** A time, in seconds since 1970. */
export function seconds(value: Der): number {
  const text = new TextDecoder().decode(value.content);
  const form = value.tag === Tag.utcTime ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
  const [, year, month, day, hour, minute, second] = (form.exec(text) ?? []).map(Number);
  if ((value.tag !== Tag.utcTime && value.tag !== Tag.generalTime) || year === undefined) throw malformed('DER has a time of no known form');
  const full = value.tag === Tag.generalTime ? year : year + (year >= 50 ? 1900 : 2000);
  const fields = [full, (month as number) - 1, day, hour, minute, second] as [number, number, number, number, number, number];
  const date = new Date(Date.UTC(...fields));
  const again = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
  if (!again.every((field, i) => field === fields[i])) throw malformed('DER has a time that never was');
  return date.getTime() / 1000;
}
