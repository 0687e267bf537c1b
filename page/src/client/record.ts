// Records: bytes, hashes, claims, masked values (PROTOCOL.md §7).

import { cfb } from '@noble/ciphers/aes.js';
import { ecdsa } from '@noble/curves/abstract/weierstrass.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { decompress } from 'brotli/decompress';
import { base62Decode, base62Encode, blobBytes, compare, concat, equal, fromBig, LfError, toBig, type Bytes } from './bytes';
import { ownerBytes, recover, verify, type Owner } from './owner';
import { addOrdinal, Brainpool, keyHash, Name, type Point } from './selector';

export const RECORD_BYTES_MAX = 65_536;
const COUNT_MAX = 15;
const WORK_BYTES = 14;

export interface RecordJson {
  Value?: string;
  Owner: string;
  Links?: string[];
  Timestamp: number;
  /** 64 bits: a text where they matter. */
  PulseToken: number | string;
  Type: number;
  Selectors?: { Ordinal: string; Claim: string }[];
  Work?: string;
  WorkAlgorithm: number;
  Signature?: string;
}

export interface RecordSelector {
  /** Masked, 16 bytes. */
  ordinal: Bytes;
  /** r ‖ s ‖ parity, 41 bytes. */
  claim: Bytes;
}

interface Parts {
  value: Bytes;
  owner: Bytes;
  links: Bytes[];
  timestamp: number;
  pulseToken: bigint;
  type: number;
  selectors: RecordSelector[];
  work: Bytes;
  signature: Bytes;
}

const wrong = (message: string) => new LfError(message, 'ErrRecordInvalid');

export class LfRecord {
  readonly hash: string;
  private constructor(private readonly parts: Parts) {
    const proxy = serialize(parts, true);
    this.hash = `=${base62Encode(sha256(concat(proxy, sha512(proxy))))}`;
  }

  static decode(bytes: Bytes): LfRecord {
    if (bytes.length > RECORD_BYTES_MAX) throw wrong('the record is too large');
    const reader = new Reader(bytes);
    const flags = reader.varint();
    if (flags & ~0xff3n) throw wrong('the record has flags that nobody knows');
    const value = flags & 1n ? reader.counted() : new Uint8Array(0);
    const owner = reader.counted();
    const links = Array.from({ length: Number((flags >> 4n) & 15n) }, () => reader.take(32));
    const timestamp = Number(reader.varint());
    const pulseToken = flags & 2n ? toBig(reader.take(8)) : 0n;
    const [head = 0] = reader.take(1);
    const selectors = Array.from({ length: head & 15 }, () => {
      const [first = 0] = reader.take(1);
      const ordinal = reader.take(16);
      return { ordinal, claim: concat(reader.take(40), Uint8Array.of(first >> 4)) };
    });
    const work = head >> 4 === 1 ? reader.take(WORK_BYTES) : new Uint8Array(0);
    const signature = reader.counted();
    const record = new LfRecord({ value, owner, links, timestamp, pulseToken, type: Number((flags >> 8n) & 15n), selectors, work, signature });
    if (!equal(record.encode(), bytes)) throw wrong('the record’s bytes are not the canonical ones');
    return record;
  }

  static fromJson(json: RecordJson): LfRecord {
    return new LfRecord({
      value: blobBytes(json.Value),
      owner: ownerBytes(json.Owner),
      links: (json.Links ?? []).map(hashBytes),
      timestamp: json.Timestamp,
      pulseToken: BigInt(json.PulseToken),
      type: json.Type,
      selectors: (json.Selectors ?? []).map(s => ({ ordinal: blobBytes(s.Ordinal), claim: blobBytes(s.Claim) })),
      work: blobBytes(json.Work),
      signature: blobBytes(json.Signature),
    });
  }

  encode(): Bytes {
    return serialize(this.parts, false);
  }

  get owner(): string {
    return `@${base62Encode(this.parts.owner)}`;
  }
  get timestamp(): number {
    return this.parts.timestamp;
  }
  get type(): number {
    return this.parts.type;
  }
  get links(): string[] {
    return this.parts.links.map(link => `=${base62Encode(link)}`);
  }
  get selectors(): RecordSelector[] {
    return this.parts.selectors;
  }
  get work(): Bytes {
    return this.parts.work;
  }

  /** The masked value, as stored. */
  get stored(): Bytes {
    return this.parts.value;
  }

  /** The keys of its selectors; throws if a claim is worth nothing. */
  keys(): Bytes[] {
    const body = sha384(serializeBody(this.parts, true));
    return this.parts.selectors.map(({ ordinal, claim }) => {
      const [r, s] = [toBig(claim.slice(0, 20)), toBig(claim.slice(20, 40))];
      const parity = claim[40] ?? 2;
      if (claim.length !== 41 || parity > 1) throw wrong('a claim that nobody can have made');
      let point: Point;
      try {
        point = recover(Brainpool, 20, r, s, sha256(concat(body, ordinal)), parity);
      } catch {
        throw wrong('a claim that nobody can have made');
      }
      return addOrdinal(keyHash(point, 20, 'brainpoolP160t1'), ordinal);
    });
  }

  /** Form, claims and the owner's signature; not the work, which takes a table of 128 MiB. */
  async verify(): Promise<void> {
    const { links, selectors, owner, signature } = this.parts;
    if (selectors.length > COUNT_MAX || links.length > COUNT_MAX) throw wrong('too many links or names');
    for (let i = 1; i < links.length; i++) {
      if (compare(links[i - 1] as Bytes, links[i] as Bytes) >= 0) throw wrong('links are not in order');
    }
    this.keys();
    if (!verify(owner, this.digest(), signature)) {
      throw new LfError('the owner did not sign this', 'ErrRecordOwnerSignatureCheckFailed');
    }
  }

  private digest(): Bytes {
    return digest(workHash(this.parts), this.parts.work);
  }
}

/** The plain value; throws where the key does not fit. */
export function unmask(record: LfRecord, maskingKey: Bytes): Bytes {
  const stored = record.stored;
  if (stored.length < 2) return new Uint8Array(0);
  const plain = maskCipher(record.timestamp, maskingKey, ownerBytes(record.owner)).decrypt(stored);
  const head = ((plain[0] as number) << 8) | (plain[1] as number);
  const value = plain.slice(2);
  if ((crc16(value) & 0xfffc) !== (head & 0xfffc)) throw new LfError('incorrect key', 'ErrIncorrectKey');
  if ((head & 3) !== 1) return value;
  try {
    return Uint8Array.from(decompress(value, RECORD_BYTES_MAX));
  } catch {
    throw new LfError('the value is damaged', 'ErrInvalidObject');
  }
}

function maskCipher(timestamp: number, maskingKey: Bytes, owner: Bytes) {
  const k = sha384(concat(fromBig(BigInt(timestamp), 8), maskingKey, owner));
  return cfb(k.slice(0, 32), k.slice(32, 48));
}

export function crc16(bytes: Bytes): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}

/** What a record is made of, before its work. */
export interface Draft {
  billableBytes: number;
  workHash: Bytes;
  sign(owner: Owner, work: Bytes | undefined): LfRecord;
}

/** Makes a record of a plain value. Values are stored as they are: readers take both, compressed and not. */
export function draft(options: {
  owner: Owner;
  value: Bytes;
  maskingKey: Bytes;
  selectors: { name: Bytes; ordinal: bigint }[];
  links: string[];
  timestamp: number;
  pulseToken: bigint;
}): Draft {
  const { owner, value, maskingKey, timestamp, pulseToken } = options;
  const crc = crc16(value) & 0xfffc;
  const stored = value.length === 0 ? value : maskCipher(timestamp, maskingKey, owner.bytes).encrypt(concat(Uint8Array.of(crc >> 8, crc & 0xff), value));
  const parts: Parts = {
    value: stored,
    owner: owner.bytes,
    links: options.links.map(hashBytes).sort(compare),
    timestamp,
    pulseToken,
    type: 0,
    selectors: [],
    work: new Uint8Array(0),
    signature: new Uint8Array(0),
  };
  const body = sha384(serializeBody(parts, true));
  parts.selectors = options.selectors.map(({ name, ordinal }) => {
    const known = Name.of(name);
    const masked = known.mask(ordinal);
    const hash = sha256(concat(body, masked));
    const signature = ecdsa(Brainpool, sha256).sign(hash.slice(0, 20), fromBig(known.secret, 20), { prehash: false, lowS: true, format: 'recovered' });
    // noble puts the recovery number first: its lowest bit is the parity of R's y.
    return { ordinal: masked, claim: concat(signature.slice(1), Uint8Array.of((signature[0] as number) & 1)) };
  });
  const hash = workHash(parts);
  return {
    billableBytes: serializeBody(parts, false).length + 57 * parts.selectors.length,
    workHash: hash,
    sign(signer, work = new Uint8Array(0)) {
      const signature = signer.sign(digest(hash, work));
      return LfRecord.decode(serialize({ ...parts, work, signature }, false));
    },
  };
}

function digest(hash: Bytes, work: Bytes): Bytes {
  return sha384(concat(hash, work, Uint8Array.of(work.length === 0 ? 0 : 1)));
}

function workHash(parts: Parts): Bytes {
  return sha384(concat(sha384(serializeBody(parts, true)), ...parts.selectors.map(serializeSelector)));
}

function serializeSelector({ ordinal, claim }: RecordSelector): Bytes {
  return concat(Uint8Array.of((claim[40] as number) << 4), ordinal, claim.slice(0, 40));
}

function serializeBody(parts: Parts, proxy: boolean): Bytes {
  const { value, owner, links, timestamp, pulseToken, type } = parts;
  const flags = (value.length ? 1 : 0) | (pulseToken ? 2 : 0) | (proxy ? 4 : 0) | (links.length << 4) | (type << 8);
  return concat(
    varint(flags),
    value.length === 0 ? value : proxy ? sha384(value) : concat(varint(value.length), value),
    varint(owner.length),
    owner,
    ...links,
    varint(timestamp),
    pulseToken ? fromBig(pulseToken, 8) : new Uint8Array(0),
  );
}

function serialize(parts: Parts, proxy: boolean): Bytes {
  return concat(
    serializeBody(parts, proxy),
    Uint8Array.of(((parts.work.length ? 1 : 0) << 4) | parts.selectors.length),
    ...parts.selectors.map(serializeSelector),
    parts.work,
    varint(parts.signature.length),
    parts.signature,
  );
}

function varint(n: number): Bytes {
  const out: number[] = [];
  while (n >= 128) {
    out.push((n % 128) | 128);
    n = Math.floor(n / 128);
  }
  out.push(n);
  return Uint8Array.from(out);
}

class Reader {
  private at = 0;
  constructor(private readonly bytes: Bytes) {}

  take(count: number): Bytes {
    if (count > this.bytes.length - this.at) throw wrong('the record is cut off');
    return this.bytes.slice(this.at, (this.at += count));
  }

  varint(): bigint {
    let n = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const [byte = 0] = this.take(1);
      n |= BigInt(byte & 127) << shift;
      if (byte < 128) {
        if (n >= 2n ** 53n) break;
        return n;
      }
    }
    throw wrong('a number is too large');
  }

  counted(): Bytes {
    return this.take(Number(this.varint()));
  }
}

export function hashBytes(hash: string): Bytes {
  const bytes = hash.startsWith('=') ? base62Decode(hash.slice(1)) : new Uint8Array(0);
  if (bytes.length !== 32) throw new LfError(`${JSON.stringify(hash)} is no record’s hash`);
  return bytes;
}
