// Certificates (PROTOCOL.md §10): reading what authorities issue and revoke, and checking one link of a chain. Whether an owner
// counts as certified is a node's to say: it knows all revocations. This is for looking at certificates.

import { ecdsa } from '@noble/curves/abstract/weierstrass.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { base62Decode, base62Encode, concat, equal, fromBig, hex, toBig, toBytes, type Bytes } from './bytes.js';
import { keyHash, P224, P384, type Curve, type Point } from './curves.js';
import { DerReader, inside, seconds, Tag, whole, wholeBits, type Der } from './der.js';
import { malformed } from './errors.js';
import { ownerText, ownerTypeOf } from './owner.js';

/** Masks the values of records of certificates and revocation lists. */
export const CERTIFICATE_MASKING_KEY: Bytes = toBytes('lfCertificate');

const BYTES_MAX = 65_536;

const SERIAL_NUMBER = '550405';
const KEY_USAGE = '551d0f';
const BASIC_CONSTRAINTS = '551d13';
const EC_PUBLIC_KEY = '2a8648ce3d0201';
/** Curves by their object identifiers. */
const CURVES: Readonly<Record<string, Curve>> = { '2b81040021': P224, '2b81040022': P384 };
/** Hashes of ECDSA signatures, by the signature's object identifier. */
const HASHES: Readonly<Record<string, typeof sha256 | typeof sha384 | typeof sha512>> = { '2a8648ce3d040302': sha256, '2a8648ce3d040303': sha384, '2a8648ce3d040304': sha512 };
const KEY_CERT_SIGN = 5;
const CRL_SIGN = 6;

/** A serial number as text. */
export function serialText(serial: bigint): string {
  return base62Encode(fromBig(serial));
}

/** A name's serial number attribute, if there is exactly one. */
function serialAttribute(name: Der): string | undefined {
  const found: string[] = [];
  for (const set = inside(name); !set.isAtEnd; ) {
    for (const attributes = inside(set.next(Tag.set)); !attributes.isAtEnd; ) {
      const attribute = inside(attributes.next(Tag.sequence));
      const kind = hex(attribute.next(Tag.oid).content);
      const value = attribute.next().content;
      attribute.end();
      if (kind === SERIAL_NUMBER) found.push(new TextDecoder().decode(value));
    }
  }
  return found.length === 1 ? found[0] : undefined;
}

/** What a name's serial number stands for, as names of issuers hold it. */
function serialOf(name: Der): bigint | undefined {
  try {
    return toBig(base62Decode(serialAttribute(name) ?? '')) || undefined;
  } catch {
    return undefined;
  }
}

/** What is signed, and how. */
interface Signed {
  content: Der;
  algorithm: string;
  signature: Bytes;
}

function readSigned(bytes: Bytes, what: string): Signed {
  if (bytes.length > BYTES_MAX) throw malformed(`${what} of ${bytes.length} bytes is too large`);
  const outer = new DerReader(bytes);
  const parts = inside(outer.next(Tag.sequence));
  outer.end();
  const content = parts.next(Tag.sequence);
  const algorithm = hex(inside(parts.next(Tag.sequence)).next(Tag.oid).content);
  const signature = wholeBits(parts.next(Tag.bits));
  parts.end();
  return { content, algorithm, signature };
}

interface Key {
  curve: Curve;
  point: Point;
}

function isSignedBy(signed: Signed, { curve, point }: Key): boolean {
  const hash = HASHES[signed.algorithm];
  if (!hash) return false;
  try {
    const outer = new DerReader(signed.signature);
    const numbers = inside(outer.next(Tag.sequence));
    outer.end();
    const [r, s] = [whole(numbers.next(Tag.integer)), whole(numbers.next(Tag.integer))];
    numbers.end();
    const compact = concat(fromBig(r, curve.size), fromBig(s, curve.size));
    if (compact.length !== 2 * curve.size) return false;
    return ecdsa(curve.Point, hash).verify(compact, hash(signed.content.bytes), point.toBytes(true), { prehash: false, lowS: false });
  } catch {
    return false;
  }
}

function readKey(info: Der): Key | undefined {
  const parts = inside(info);
  const algorithm = inside(parts.next(Tag.sequence));
  const kind = hex(algorithm.next(Tag.oid).content);
  const bits = wholeBits(parts.next(Tag.bits));
  if (kind !== EC_PUBLIC_KEY || algorithm.tag !== Tag.oid) return undefined;
  const curve = CURVES[hex(algorithm.next(Tag.oid).content)];
  if (!curve) return undefined;
  try {
    return { curve, point: curve.Point.fromBytes(bits) };
  } catch {
    throw malformed('certificate has a key that is none');
  }
}

/** An X.509 certificate, of an authority or of an owner. */
export class Certificate {
  private constructor(
    private readonly der: Bytes,
    private readonly signed: Signed,
    readonly serial: bigint,
    readonly issuerSerial: bigint | undefined,
    /** Seconds since 1970. */
    readonly notBefore: number,
    /** Seconds since 1970. */
    readonly notAfter: number,
    /** Whether it says that it is an authority's. */
    readonly isCa: boolean,
    private readonly pathLength: bigint | undefined,
    private readonly usage: number,
    private readonly hasUnknown: boolean,
    private readonly subjectSerial: string | undefined,
    private readonly key: Key | undefined,
  ) {}

  /** Reads one certificate in DER. */
  static parse(der: Bytes): Certificate {
    const signed = readSigned(der, 'certificate');
    const parts = inside(signed.content);
    if (parts.tag === 0xa0) parts.next();
    const serial = whole(parts.next(Tag.integer));
    parts.next(Tag.sequence);
    const issuer = parts.next(Tag.sequence);
    const validity = inside(parts.next(Tag.sequence));
    const [notBefore, notAfter] = [seconds(validity.next()), seconds(validity.next())];
    validity.end();
    const subject = parts.next(Tag.sequence);
    const key = readKey(parts.next(Tag.sequence));
    while (parts.tag === 0x81 || parts.tag === 0x82) parts.next();
    let [isCa, usage, hasUnknown] = [false, 0, false];
    let pathLength: bigint | undefined;
    if (parts.tag === 0xa3) {
      const kinds = new Set<string>();
      for (const list = inside(inside(parts.next()).next(Tag.sequence)); !list.isAtEnd; ) {
        const extension = inside(list.next(Tag.sequence));
        const kind = hex(extension.next(Tag.oid).content);
        const critical = extension.tag === Tag.boolean && extension.next().content[0] === 0xff;
        const value = new DerReader(extension.next(Tag.octets).content);
        if (kinds.has(kind)) throw malformed('certificate has an extension twice');
        kinds.add(kind);
        if (kind === KEY_USAGE) usage = value.next(Tag.bits).content[1] ?? 0;
        else if (kind === BASIC_CONSTRAINTS) {
          const constraints = inside(value.next(Tag.sequence));
          isCa = constraints.tag === Tag.boolean && constraints.next().content[0] === 0xff;
          if (!constraints.isAtEnd) pathLength = whole(constraints.next(Tag.integer));
        } else hasUnknown ||= critical;
      }
    }
    parts.end();
    return new Certificate(der.slice(), signed, serial, serialOf(issuer), notBefore, notAfter, isCa, pathLength, usage, hasUnknown, serialAttribute(subject), key);
  }

  /** Reads certificates in a row: what a record or a genesis parameter holds. */
  static parseAll(row: Bytes): Certificate[] {
    const certificates: Certificate[] = [];
    for (const reader = new DerReader(row); !reader.isAtEnd; ) certificates.push(Certificate.parse(reader.next(Tag.sequence).bytes));
    return certificates;
  }

  /** Its DER. */
  encode(): Bytes {
    return this.der.slice();
  }

  private may(bit: number): boolean {
    return this.isCa && !this.hasUnknown && (this.usage & (0x80 >> bit)) !== 0;
  }

  /** Whether it can issue certificates. */
  get isAuthority(): boolean {
    return this.may(KEY_CERT_SIGN);
  }

  /** Whether it can issue revocation lists. */
  get signsCrls(): boolean {
    return this.may(CRL_SIGN);
  }

  /** The owner that it certifies, `@…`; undefined for an authority. */
  get subjectOwner(): string | undefined {
    if (this.isCa || this.subjectSerial === undefined) return undefined;
    try {
      const bytes = base62Decode(this.subjectSerial);
      ownerTypeOf(bytes);
      return ownerText(bytes);
    } catch {
      return undefined;
    }
  }

  /** The owner that has its key, `@…`: for a root, who publishes what it issues. */
  get keyOwner(): string | undefined {
    if (!this.key) return undefined;
    const { curve, point } = this.key;
    return ownerText(keyHash(curve, point).slice(0, curve === P224 ? 14 : 24));
  }

  /** Whether this one issued another: it may, it is named, it was valid then, and the signature is its key's. */
  issued(other: Certificate): boolean {
    const may = this.isAuthority && !other.hasUnknown && (equal(this.der, other.der) || !other.isCa || this.pathLength !== 0n);
    const timely = this.notBefore <= other.notBefore && other.notBefore <= this.notAfter;
    // Names are not compared byte by byte: the issuer's serial number tells who it is.
    return may && timely && other.issuerSerial === this.serial && this.key !== undefined && isSignedBy(other.signed, this.key);
  }

  /** Whether this one issued a revocation list. */
  issuedCrl(crl: Crl): boolean {
    return this.signsCrls && crl.issuerSerial === this.serial && this.key !== undefined && crl.isSignedBy(this.key);
  }
}

/** A revocation list. */
export class Crl {
  private constructor(
    private readonly signed: Signed,
    readonly issuerSerial: bigint | undefined,
    /** When it was made: seconds since 1970. */
    readonly thisUpdate: number,
    /** Serial numbers. */
    readonly revoked: readonly bigint[],
  ) {}

  /** Reads one list in DER. */
  static parse(der: Bytes): Crl {
    const signed = readSigned(der, 'revocation list');
    const parts = inside(signed.content);
    if (parts.tag === Tag.integer) parts.next();
    parts.next(Tag.sequence);
    const issuer = parts.next(Tag.sequence);
    const thisUpdate = seconds(parts.next());
    if (parts.tag === Tag.utcTime || parts.tag === Tag.generalTime) parts.next();
    const revoked: bigint[] = [];
    if (parts.tag === Tag.sequence) {
      for (const list = inside(parts.next()); !list.isAtEnd; ) revoked.push(whole(inside(list.next(Tag.sequence)).next(Tag.integer)));
    }
    if (parts.tag === 0xa0) parts.next();
    parts.end();
    return new Crl(signed, serialOf(issuer), thisUpdate, revoked);
  }

  /** Whether the signature is a key's. */
  isSignedBy(key: Key): boolean {
    return isSignedBy(this.signed, key);
  }
}
