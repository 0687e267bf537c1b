// Pulses (PROTOCOL.md §9): short proofs that renew a record, minute by minute, for a year.

import { unsafe } from '@noble/ciphers/aes.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { base62Encode, concat, decodePrefixed, fromBig, toBig, type Bytes } from './bytes.js';
import { invalid, malformed } from './errors.js';

export const PULSE_MINUTES_MAX = 525_600;
const PULSE_BYTES = 11;
/** Steps between two pauses: some milliseconds. */
const SLICE = 20_000;

const KEY = unsafe.expandKeyLE(Uint8Array.of(0x01, 0xc8, 0x10, 0x5d, 0x63, 0x65, 0x10, 0x04, 0x63, 0xca, 0xff, 0xfe, 0x16, 0x11, 0x2a, 0xad));

/** th64, the one-way function of pulses, so many times over. */
export function th64(value: bigint, times = 1): bigint {
  let low = Number(value & 0xffffffffn);
  let high = Number(value >> 32n);
  for (let k = 0; k < times; k++) {
    const { s0, s1, s2, s3 } = unsafe.encrypt(KEY, low, high, 0, 0);
    low = (s0 ^ s2 ^ low) >>> 0;
    high = (s1 ^ s3 ^ high) >>> 0;
  }
  return (BigInt(high) << 32n) | BigInt(low);
}

/** The same with pauses, in which others go on: a whole chain takes a second. */
export async function th64Slowly(value: bigint, times: number, signal?: AbortSignal): Promise<bigint> {
  let i = value;
  for (let done = 0; done < times; done += SLICE) {
    i = th64(i, Math.min(SLICE, times - done));
    await new Promise(resolve => setTimeout(resolve));
    signal?.throwIfAborted();
  }
  return i;
}

/** What a record's pulses come from: secret. */
export function pulseStart(selectors: readonly { name: Bytes; ordinal: bigint }[], timestamp: bigint, privateHash: Bytes): bigint {
  const named = selectors.flatMap(({ name, ordinal }) => [name, fromBig(ordinal, 8)]);
  return toBig(sha256(concat(...named, fromBig(timestamp, 8), privateHash)).slice(0, 8));
}

/** A pulse: a link of the chain, and the minute after the record's timestamp that it stands for. */
export class Pulse {
  constructor(
    readonly key: bigint,
    readonly minutes: number,
  ) {
    if (!Number.isInteger(minutes) || minutes < 1 || minutes > PULSE_MINUTES_MAX) {
      throw invalid(`pulse of minute ${minutes}: must be one of 1 to ${PULSE_MINUTES_MAX}`);
    }
  }

  static decode(bytes: Bytes): Pulse {
    if (bytes.length !== PULSE_BYTES) throw malformed(`pulse of ${bytes.length} bytes: must be ${PULSE_BYTES}`);
    return new Pulse(toBig(bytes.slice(0, 8)), Number(toBig(bytes.slice(8))));
  }

  /** Reads `!…`. */
  static parse(text: string): Pulse {
    return Pulse.decode(decodePrefixed('!', text, 'pulse'));
  }

  encode(): Bytes {
    return concat(fromBig(this.key, 8), fromBig(BigInt(this.minutes), 3));
  }

  toString(): string {
    return `!${base62Encode(this.encode())}`;
  }

  /** The pulse token of the record that it belongs to. */
  token(): bigint {
    return th64(this.key, this.minutes);
  }
}
