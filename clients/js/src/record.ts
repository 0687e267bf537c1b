// Records (PROTOCOL.md §7): reading and checking their canonical bytes, and making new ones.

import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import {
  blobBytes,
  blobText,
  compare,
  concat,
  equal,
  fromBig,
  hashBytes,
  hashText,
  listFromJson,
  membersOf,
  NO_BYTES,
  prefixedFromJson,
  toBig,
  wholeFromJson,
  type Bytes,
} from './bytes.js';
import { invalid, LfError, malformed } from './errors.js';
import { maskValue, unmaskValue, type Compress } from './masking.js';
import { ownerBytes, ownerText, ownerTypeOf, signatureBytes, verifyOwner, type Owner } from './owner.js';
import { Claim, CLAIM_BYTES, Name, SELECTORS_MAX } from './selector.js';
import { requiredDifficulty, verifyWorkSlowly, WORK_BYTES } from './work.js';

export const RECORD_BYTES_MAX = 65_536;
export const LINKS_MAX = 15;
const SIGNATURE_BYTES_MAX = 96;
const HASH_BYTES = 32;
const U64_END = 1n << 64n;

const HAS_VALUE = 1n;
const HAS_TOKEN = 2n;
const VALUE_IS_HASH = 4n;
const FLAGS_KNOWN = 0xff7n;

/** Record types. */
export const RecordType = { datum: 0, genesis: 1, commentary: 2, certificate: 3, crl: 4, rotation: 5 } as const;

/** A record as the API writes it. */
export interface RecordJson {
  Value?: string;
  ValueHash?: string;
  Owner: string;
  Links?: string[];
  /** A text where a number would not be exact. */
  Timestamp: number | string;
  /** A text: 64 bits. */
  PulseToken: number | string;
  Type: number;
  Selectors?: { Ordinal: string; Claim: string }[];
  Work?: string;
  WorkAlgorithm: number;
  Signature?: string;
}

/** What to check of a record beside its signatures: the parameters of a network (`Genesis`), or some of them. */
export interface VerifyRules {
  /** Refuse the high form of ECDSA signatures. */
  strictSignatures?: boolean;
  recordMaxValueSize?: number;
  recordMinLinks?: number;
  /** Whether it must have work. This takes a table of 128 MiB, which takes seconds to make the first time. */
  work?: boolean;
  workFactor?: number;
}

/** What a record is made of. */
interface Parts {
  owner: Bytes;
  timestamp: bigint;
  stored: Bytes;
  /** In proxy form, the SHA-384 of the stored value, or empty if there is none. */
  valueHash: Bytes | undefined;
  links: readonly Bytes[];
  pulseToken: bigint;
  type: number;
  selectors: readonly Claim[];
  work: Bytes;
  signature: Bytes;
}

/** A well-formed record. {@link decode} makes one of bytes. */
export class LfRecord {
  private kept: { hash?: Bytes; bodyHash?: Bytes } = {};

  private constructor(private readonly parts: Readonly<Parts>) {}

  /** Reads the canonical bytes of one record, with nothing after it. */
  static decode(bytes: Bytes): LfRecord {
    const [record, used] = LfRecord.decodeFirst(bytes);
    if (used !== bytes.length) throw malformed(`${bytes.length - used} bytes follow the record`);
    return record;
  }

  /** Reads the first of several records in a row; also how many bytes it has. */
  static decodeFirst(bytes: Bytes): [LfRecord, number] {
    const [record, used] = LfRecord.decodeAny(bytes);
    if (record.parts.valueHash) throw malformed('record has only the hash of its value');
    return [record, used];
  }

  /** Reads the first record in full or proxy form. Both give the same hashes. */
  static decodeAny(bytes: Bytes): [LfRecord, number] {
    const reader = new Reader(bytes);
    const flags = reader.varint('flags');
    if (flags & ~FLAGS_KNOWN) throw malformed(`record has unknown flags ${flags}`);
    let stored = NO_BYTES;
    let valueHash: Bytes | undefined;
    if (flags & VALUE_IS_HASH) valueHash = flags & HAS_VALUE ? reader.take(48, 'value hash') : NO_BYTES;
    else if (flags & HAS_VALUE) {
      stored = reader.counted(RECORD_BYTES_MAX, 'value');
      if (stored.length === 0) throw malformed('record has an empty value');
    }
    const owner = reader.counted(RECORD_BYTES_MAX, 'owner');
    ownerTypeOf(owner);
    const links = Array.from({ length: Number((flags >> 4n) & 15n) }, () => reader.take(HASH_BYTES, 'links'));
    if (links.some((link, i) => i > 0 && compare(links[i - 1] as Bytes, link) >= 0)) throw malformed('record has links that are not in ascending order');
    const timestamp = reader.varint('timestamp');
    let pulseToken = 0n;
    if (flags & HAS_TOKEN) {
      pulseToken = toBig(reader.take(8, 'pulse token'));
      if (pulseToken === 0n) throw malformed('record has a pulse token of zero');
    }
    const [counts = 0] = reader.take(1, 'selector count');
    if (counts >> 4 > 1) throw new LfError('ErrRecordUnsupportedAlgorithm', `record has work of unknown algorithm ${counts >> 4}`);
    const selectors = Array.from({ length: counts & 15 }, () => Claim.decode(reader.take(CLAIM_BYTES, 'selectors')));
    const work = counts >> 4 ? reader.take(WORK_BYTES, 'work') : NO_BYTES;
    const signature = reader.counted(SIGNATURE_BYTES_MAX, 'signature');
    if (reader.at > RECORD_BYTES_MAX) throw tooLarge(reader.at);
    const type = Number(flags >> 8n);
    return [new LfRecord({ owner, timestamp, stored, valueHash, links, pulseToken, type, selectors, work, signature }), reader.at];
  }

  /** Reads a record as the API writes it. */
  static fromJson(json: unknown): LfRecord {
    const m = membersOf(json, 'record');
    if (m.valuehash) throw malformed('record has only the hash of its value');
    const small = (value: unknown, max: number, what: string): number => {
      const n = value ?? 0;
      if (!Number.isInteger(n) || (n as number) < 0 || (n as number) > max) throw malformed(`record's ${what} is not a number from 0 to ${max}`);
      return n as number;
    };
    const work = blobBytes(m.work, 'work');
    if (work.length !== (small(m.workalgorithm, 1, 'WorkAlgorithm') ? WORK_BYTES : 0)) throw malformed(`record has work of ${work.length} bytes`);
    const record = new LfRecord({
      owner: prefixedFromJson(m.owner, '@', 'owner'),
      timestamp: wholeFromJson(m.timestamp, 'timestamp'),
      stored: blobBytes(m.value, 'value'),
      valueHash: undefined,
      links: listFromJson(m.links, 'links', LINKS_MAX).map(link => prefixedFromJson(link, '=', 'hash')),
      pulseToken: wholeFromJson(m.pulsetoken, 'pulse token'),
      type: small(m.type, 15, 'Type'),
      selectors: listFromJson(m.selectors, 'selectors', SELECTORS_MAX).map(Claim.fromJson),
      work,
      signature: blobBytes(m.signature, 'signature'),
    });
    // Reading the bytes again checks what the members alone do not show.
    return LfRecord.decode(record.encode());
  }

  /** The record as the API writes it; numbers that may have 64 bits are texts. */
  toJson(): RecordJson {
    const { stored, valueHash, links, selectors, work, signature } = this.parts;
    return {
      ...(stored.length ? { Value: blobText(stored) } : {}),
      ...(valueHash?.length ? { ValueHash: blobText(valueHash) } : {}),
      Owner: this.owner,
      ...(links.length ? { Links: this.links } : {}),
      Timestamp: this.parts.timestamp <= BigInt(Number.MAX_SAFE_INTEGER) ? this.timestamp : String(this.parts.timestamp),
      PulseToken: String(this.parts.pulseToken),
      Type: this.type,
      ...(selectors.length ? { Selectors: selectors.map(claim => claim.toJson()) } : {}),
      ...(work.length ? { Work: blobText(work) } : {}),
      WorkAlgorithm: work.length ? 1 : 0,
      ...(signature.length ? { Signature: blobText(signature) } : {}),
    };
  }

  private body(proxy: boolean): Bytes {
    const { stored, valueHash, owner, links, timestamp, pulseToken, type } = this.parts;
    const hasValue = stored.length > 0 || (valueHash?.length ?? 0) > 0;
    const flags =
      (hasValue ? HAS_VALUE : 0n) | (pulseToken ? HAS_TOKEN : 0n) | (proxy ? VALUE_IS_HASH : 0n) | (BigInt(links.length) << 4n) | (BigInt(type) << 8n);
    const value = !hasValue ? NO_BYTES : proxy ? (valueHash ?? sha384(stored)) : concat(varint(stored.length), stored);
    return concat(varint(flags), value, varint(owner.length), owner, ...links, varint(timestamp), pulseToken ? fromBig(pulseToken, 8) : NO_BYTES);
  }

  private get tail(): Bytes {
    const { selectors, work, signature } = this.parts;
    const counts = Uint8Array.of(((work.length ? 1 : 0) << 4) | selectors.length);
    return concat(counts, ...selectors.map(claim => claim.encode()), work, varint(signature.length), signature);
  }

  /** The canonical bytes. */
  encode(): Bytes {
    return concat(this.body(this.parts.valueHash !== undefined), this.tail);
  }

  /** The same record with the hash of its value in the value's place; its hashes stay. */
  toProxy(): LfRecord {
    const { stored, valueHash } = this.parts;
    return new LfRecord({ ...this.parts, stored: NO_BYTES, valueHash: valueHash ?? (stored.length ? sha384(stored) : NO_BYTES) });
  }

  /** The record's hash, 32 bytes. */
  get hashBytes(): Bytes {
    if (!this.kept.hash) {
      const m = concat(this.body(true), this.tail);
      this.kept.hash = sha256(concat(m, sha512(m)));
    }
    return this.kept.hash;
  }

  /** The record's hash, `=…`. */
  get hash(): string {
    return hashText(this.hashBytes);
  }

  /** The owner, `@…`. */
  get owner(): string {
    return ownerText(this.parts.owner);
  }

  /** The owner's public bytes. */
  get ownerBytes(): Bytes {
    return this.parts.owner;
  }

  /** When it was made, by its owner's word: seconds since 1970. Inexact beyond 2⁵³. */
  get timestamp(): number {
    return Number(this.parts.timestamp);
  }

  /** Hashes of the older records it links to. */
  get links(): string[] {
    return this.parts.links.map(hashText);
  }

  get type(): number {
    return this.parts.type;
  }

  get selectors(): readonly Claim[] {
    return this.parts.selectors;
  }

  /** The masked value, as stored. */
  get stored(): Bytes {
    return this.parts.stored;
  }

  /** 14 bytes, or none. */
  get work(): Bytes {
    return this.parts.work;
  }

  /** The difficulty that the work claims; 0 without. */
  get difficulty(): number {
    return Number(toBig(this.parts.work.slice(10)));
  }

  /** The end of its pulses' chain; 0 if it cannot be pulsed. */
  get pulseToken(): bigint {
    return this.parts.pulseToken;
  }

  get signature(): Bytes {
    return this.parts.signature;
  }

  /** What claims are made for, 48 bytes. */
  get bodyHash(): Bytes {
    return (this.kept.bodyHash ??= sha384(this.body(true)));
  }

  /** What work is for, 48 bytes. */
  get workHash(): Bytes {
    return sha384(concat(this.bodyHash, ...this.parts.selectors.map(claim => claim.encode())));
  }

  /** What the owner signs, 48 bytes. */
  get signedDigest(): Bytes {
    const { work } = this.parts;
    return sha384(concat(this.workHash, work, Uint8Array.of(work.length ? 1 : 0)));
  }

  /** The bytes that work must pay for. */
  get billableBytes(): number {
    return this.body(false).length + CLAIM_BYTES * this.parts.selectors.length;
  }

  /** The ids and keys of its selectors; an error if a claim gives none. */
  recoverSelectors(): { id: Bytes; key: Bytes }[] {
    return this.parts.selectors.map(claim => claim.recover(this.bodyHash));
  }

  /** The record's id: the hash of its selectors' ids, 32 bytes, or its own hash if it has none. With an index, the id of that
   * selector, 21 bytes. */
  id(index?: number): Bytes {
    const ids = this.recoverSelectors().map(recovered => recovered.id);
    if (index !== undefined) {
      const id = ids[index];
      if (!id) throw invalid(`record ${this.hash} has no selector ${index}`);
      return id;
    }
    return ids.length ? sha256(concat(...ids)) : this.hashBytes;
  }

  /** Checks the owner's signature and all claims, and gives the selectors' ids and keys. `strict` refuses the high form
   * of ECDSA signatures. */
  verifyClaims(strict = false): { id: Bytes; key: Bytes }[] {
    if (!verifyOwner(this.parts.owner, this.signedDigest, this.parts.signature, strict)) {
      throw new LfError('ErrRecordOwnerSignatureCheckFailed', `record ${this.hash} is not signed by its owner`);
    }
    return this.recoverSelectors();
  }

  /** Checks the owner's signature, all claims, and what the network's parameters ask of a record itself. Its links, and
   * whether its owner has a certificate, only a node knows. */
  async verify(rules: VerifyRules = {}): Promise<void> {
    this.verifyClaims(rules.strictSignatures);
    if (rules.recordMaxValueSize !== undefined && this.parts.stored.length - 2 > rules.recordMaxValueSize) {
      throw new LfError('ErrRecordValueTooLarge', `record ${this.hash} has a value of more than ${rules.recordMaxValueSize} bytes`);
    }
    if (rules.recordMinLinks !== undefined && this.parts.links.length < rules.recordMinLinks) {
      throw new LfError('ErrRecordInsufficientLinks', `record ${this.hash} has fewer links than ${rules.recordMinLinks}`);
    }
    if (!rules.work) return;
    const wanted = requiredDifficulty(this.billableBytes, rules.workFactor ?? 1);
    if (this.difficulty < wanted || (await verifyWorkSlowly(this.workHash, this.parts.work)) === 0) {
      throw new LfError('ErrRecordInsufficientWork', `record ${this.hash} has no work of difficulty ${wanted}`);
    }
  }

  /** The plain value; `ErrIncorrectKey` if the masking key does not fit. */
  value(maskingKey: Bytes = NO_BYTES): Bytes {
    return unmaskValue(this.parts.stored, this.parts.timestamp, maskingKey, this.parts.owner);
  }

  /** Makes a record that lacks its work and signature: value masked, selectors claimed. */
  static build(given: {
    owner: Owner;
    timestamp: number;
    value?: Bytes;
    maskingKey?: Bytes | undefined;
    selectors?: readonly { name: Bytes; ordinal: bigint }[];
    links?: readonly string[];
    pulseToken?: bigint;
    type?: number;
    compress?: Compress | undefined;
  }): LfRecord {
    const { owner, value = NO_BYTES, selectors = [], pulseToken = 0n, type = RecordType.datum } = given;
    const links = [...new Set(given.links ?? [])].map(hashBytes).sort(compare);
    if (links.length > LINKS_MAX) throw new LfError('ErrRecordTooManyLinks', `${links.length} links are more than the ${LINKS_MAX} of a record`);
    if (selectors.length > SELECTORS_MAX) {
      throw new LfError('ErrRecordTooManySelectors', `${selectors.length} selectors are more than the ${SELECTORS_MAX} of a record`);
    }
    if (!Number.isSafeInteger(given.timestamp) || given.timestamp < 0) throw invalid(`timestamp ${given.timestamp} is not a number of seconds since 1970`);
    if (!Number.isInteger(type) || type < 0 || type > 15) throw invalid(`record type ${type} must be 0 to 15`);
    if (value.length > RECORD_BYTES_MAX) throw tooLarge(value.length);
    const timestamp = BigInt(given.timestamp);
    const parts: Parts = {
      owner: owner.bytes,
      timestamp,
      stored: maskValue(value, timestamp, given.maskingKey ?? selectors[0]?.name ?? NO_BYTES, owner.bytes, given.compress),
      valueHash: undefined,
      links,
      pulseToken: pulseToken % U64_END,
      type,
      selectors: [],
      work: NO_BYTES,
      signature: NO_BYTES,
    };
    const { bodyHash } = new LfRecord(parts);
    const record = new LfRecord({ ...parts, selectors: selectors.map(({ name, ordinal }) => Name.of(name).claim(bodyHash, ordinal)) });
    const size = record.encode().length + WORK_BYTES + signatureBytes(owner.type);
    if (size > RECORD_BYTES_MAX) throw tooLarge(size);
    return record;
  }

  /** The record with its work, if there is any, and signature. */
  sign(owner: Owner, work: Bytes = NO_BYTES): LfRecord {
    if (!equal(owner.bytes, this.parts.owner)) throw invalid('the record was made for another owner');
    if (work.length !== 0 && work.length !== WORK_BYTES) throw malformed(`work of ${work.length} bytes: must be ${WORK_BYTES}`);
    const worked = new LfRecord({ ...this.parts, work });
    return new LfRecord({ ...worked.parts, signature: owner.sign(worked.signedDigest) });
  }
}

/** The plain value of a record; `ErrIncorrectKey` if the masking key does not fit. */
export function unmask(record: LfRecord | RecordJson, maskingKey: Bytes): Bytes {
  if (record instanceof LfRecord) return record.value(maskingKey);
  return unmaskValue(blobBytes(record.Value), wholeFromJson(record.Timestamp, 'timestamp'), maskingKey, ownerBytes(record.Owner));
}

function tooLarge(size: number): LfError {
  return new LfError('ErrRecordTooLarge', `record of ${size} bytes: ${RECORD_BYTES_MAX} is the most`);
}

function varint(value: number | bigint): Bytes {
  const out: number[] = [];
  let n = BigInt(value);
  while (n >= 128n) {
    out.push(Number(n & 127n) | 128);
    n >>= 7n;
  }
  out.push(Number(n));
  return Uint8Array.from(out);
}

/** Reads typed fields off bytes; every error names the field. */
class Reader {
  at = 0;

  constructor(private readonly bytes: Bytes) {}

  take(count: number, what: string): Bytes {
    if (count > this.bytes.length - this.at) throw malformed(`record ends within its ${what}`);
    return this.bytes.slice(this.at, (this.at += count));
  }

  varint(what: string): bigint {
    let n = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const [byte = 0] = this.take(1, what);
      n |= BigInt(byte & 127) << shift;
      if (byte < 128) {
        if (n >= U64_END || (byte === 0 && shift > 0n)) break;
        return n;
      }
    }
    throw malformed(`record has a ${what} that is not a canonical number`);
  }

  counted(max: number, what: string): Bytes {
    const length = this.varint(what);
    if (length > BigInt(max)) throw malformed(`record has a ${what} of ${length} bytes`);
    return this.take(Number(length), what);
  }
}
