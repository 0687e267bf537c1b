// Owners (PROTOCOL.md §4): key pairs that sign records, and their public side.

import { ecdsa } from '@noble/curves/abstract/weierstrass.js';
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha224, sha256, sha384 } from '@noble/hashes/sha2.js';
import { base62Encode, concat, decodePrefixed, equal, fromBig, toBig, toBytes, type Bytes } from './bytes.js';
import { drawScalar, keyHash, P224, P384, recover, verifyEd25519, type Curve } from './curves.js';
import { LfError } from './errors.js';
import { seeded } from './seeded.js';

export type OwnerType = 'ed25519' | 'p224' | 'p384';

interface EcdsaType {
  readonly type: OwnerType;
  readonly id: number;
  readonly curve: Curve;
  readonly publicBytes: number;
  /** The curve's object identifier, as DER holds it. */
  readonly oid: Bytes;
}

const ECDSA: readonly EcdsaType[] = [
  { type: 'p224', id: 1, curve: P224, publicBytes: 14, oid: Uint8Array.of(0x2b, 0x81, 0x04, 0x00, 0x21) },
  { type: 'p384', id: 2, curve: P384, publicBytes: 24, oid: Uint8Array.of(0x2b, 0x81, 0x04, 0x00, 0x22) },
];
const ED25519_ID = 3;
const PEM_TYPE = 'LF OWNER PRIVATE KEY';
const IMPORT_CHARS_MAX = 1 << 16;

function ecdsaOf(type: OwnerType): EcdsaType | undefined {
  return ECDSA.find(one => one.type === type);
}

/** Reads `p224`, `p384` or `ed25519`, in any letter case, `p-224` and `p-384` too. */
export function ownerTypeOfName(text: string): OwnerType {
  const name = text.trim().toLowerCase();
  const found = (['p224', 'p384', 'ed25519'] as const).find(type => name === type || name === type.replace('p', 'p-'));
  if (!found) throw new LfError('ErrUnsupportedType', `owner type ${JSON.stringify(text)} must be p224, p384 or ed25519`);
  return found;
}

/** The type that an owner's public bytes tell by their length. */
export function ownerTypeOf(bytes: Bytes): OwnerType {
  if (bytes.length === 32) return 'ed25519';
  const found = ECDSA.find(one => one.publicBytes === bytes.length);
  if (!found) throw new LfError('ErrInvalidPublicKey', `owner of ${bytes.length} bytes: must be 14 (p224), 24 (p384) or 32 (ed25519)`);
  return found.type;
}

/** The length of a signature: 56, 96 or 64 bytes. */
export function signatureBytes(type: OwnerType): number {
  return 2 * (ecdsaOf(type)?.curve.size ?? 32);
}

/** An owner as text, `@…`. */
export function ownerText(bytes: Bytes): string {
  return `@${base62Encode(bytes)}`;
}

/** The public bytes of an owner written `@…`. */
export function ownerBytes(text: string): Bytes {
  const bytes = decodePrefixed('@', text, 'owner');
  ownerTypeOf(bytes);
  return bytes;
}

/** Whether a signature over a digest is this owner's. `strict` refuses the high form of ECDSA signatures. */
export function verifyOwner(owner: Bytes, digest: Bytes, signature: Bytes, strict = false): boolean {
  const found = ecdsaOf(ownerTypeOf(owner));
  if (!found) return verifyEd25519(signature, digest, owner);
  const { curve, publicBytes } = found;
  if (signature.length !== 2 * curve.size) return false;
  if (strict && 2n * toBig(signature.slice(curve.size)) > curve.Point.Fn.ORDER) return false;
  return [0, 1].some(parity => {
    try {
      return equal(keyHash(curve, recover(curve, digest, signature, parity)).slice(0, publicBytes), owner);
    } catch {
      // No key can have made it.
      return false;
    }
  });
}

/** A key pair. Its private part leaves only by {@link exportPem} and {@link privateBytes}. */
export class Owner {
  /** `@…`. */
  readonly public: string;
  readonly type: OwnerType;
  /** Its public bytes. */
  readonly bytes: Bytes;
  readonly #secret: Bytes;

  private constructor(type: OwnerType, secret: Bytes) {
    this.type = type;
    this.#secret = secret;
    const found = ecdsaOf(type);
    this.bytes = found
      ? keyHash(found.curve, found.curve.Point.BASE.multiply(toBig(secret))).slice(0, found.publicBytes)
      : ed25519.getPublicKey(secret);
    this.public = ownerText(this.bytes);
  }

  /** A new key pair. */
  static generate(type: OwnerType = 'ed25519'): Owner {
    return Owner.drawn(ownerTypeOfName(type), count => crypto.getRandomValues(new Uint8Array(count)));
  }

  /** The key pair of a seed: always the same one. */
  static fromSeed(seed: Bytes, type: OwnerType = 'p384'): Owner {
    return Owner.drawn(ownerTypeOfName(type), seeded(seed));
  }

  /** The owner of a passphrase. {@link passphraseMaskingKey} gives the masking key that goes with it. */
  static fromPassphrase(passphrase: string, type: OwnerType = 'p384'): Owner {
    return Owner.fromSeed(toBytes(passphrase), type);
  }

  private static drawn(type: OwnerType, random: (count: number) => Bytes): Owner {
    const found = ecdsaOf(type);
    return new Owner(type, found ? fromBig(drawScalar(found.curve, random), found.curve.size) : random(32));
  }

  /** Reads PEM, a JSON string of it, or private bytes: what {@link exportPem}, `lf owner export` and `lf owner
   * exportstring` give. */
  static import(exported: string | Bytes): Owner {
    const bytes = typeof exported === 'string' || isText(exported) ? unpem(exported) : exported;
    const owner = Owner.fromPrivateBytes(bytes);
    // Another type id, another form or a public half of another key would all make other bytes.
    if (!equal(owner.privateBytes(), bytes)) throw noPrivateKey('contradicts itself');
    return owner;
  }

  private static fromPrivateBytes(bytes: Bytes): Owner {
    const [id, body] = [bytes[0], bytes.slice(1)];
    if (id === ED25519_ID) {
      if (body.length !== 64) throw noPrivateKey('is not a valid ed25519 key');
      return new Owner('ed25519', body.slice(0, 32));
    }
    const found = ECDSA.find(one => one.id === id);
    if (!found) throw noPrivateKey('has no known type id');
    // The scalar is the octet string in the first bytes: that all else is as it must be is seen when it is written again.
    const size = found.curve.size;
    let at = 0;
    while (at < 8 && !(body[at] === 0x04 && body[at + 1] === size)) at++;
    const secret = body.slice(at + 2, at + 2 + size);
    const n = toBig(secret);
    if (secret.length !== size || n < 1n || n >= found.curve.Point.Fn.ORDER) throw noPrivateKey(`is not a valid ${found.type} key`);
    return new Owner(found.type, secret);
  }

  /** The private bytes: type id, then SEC1 DER or the Ed25519 seed and public key. */
  privateBytes(): Bytes {
    const found = ecdsaOf(this.type);
    if (!found) return concat(Uint8Array.of(ED25519_ID), this.#secret, this.bytes);
    const point = found.curve.Point.BASE.multiply(toBig(this.#secret)).toBytes(false);
    const body = concat(
      der(0x02, Uint8Array.of(1)),
      der(0x04, this.#secret),
      der(0xa0, der(0x06, found.oid)),
      der(0xa1, der(0x03, concat(Uint8Array.of(0), point))),
    );
    return concat(Uint8Array.of(found.id), der(0x30, body));
  }

  /** The private key as PEM, for {@link import} and `lf owner import`. Keep it secret. */
  exportPem(): string {
    const base64 = btoa(String.fromCharCode(...this.privateBytes())).replace(/.{1,64}/g, '$&\n');
    return `-----BEGIN ${PEM_TYPE}-----\nPublic: ${this.public}\nType: ${this.type}\n\n${base64}-----END ${PEM_TYPE}-----\n`;
  }

  /** PrivateHash, what pulses start from: as secret as the key. */
  privateHash(): Bytes {
    return sha256(this.type === 'ed25519' ? concat(this.#secret, this.bytes) : fromBig(toBig(this.#secret)));
  }

  /** Signs a digest, 48 bytes for a record: r ‖ s with s ≤ n/2, or an Ed25519 signature. */
  sign(digest: Bytes): Bytes {
    const found = ecdsaOf(this.type);
    if (!found) return ed25519.sign(digest, this.#secret);
    const hash = this.type === 'p224' ? sha224 : sha384;
    return ecdsa(found.curve.Point, hash).sign(digest.slice(0, found.curve.size), this.#secret, { prehash: false, lowS: true });
  }

  /** Nothing private. */
  toJSON(): string {
    return this.public;
  }
}

/** The masking key that goes with {@link Owner.fromPassphrase}. */
export function passphraseMaskingKey(passphrase: string): Bytes {
  return sha256(sha256(toBytes(passphrase)));
}

function noPrivateKey(problem: string): LfError {
  return new LfError('ErrInvalidPrivateKey', `owner private key ${problem}`);
}

function der(tag: number, content: Bytes): Bytes {
  const n = content.length;
  return concat(Uint8Array.of(tag, ...(n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 0xff])), content);
}

function isText(bytes: Bytes): boolean {
  return bytes.length <= IMPORT_CHARS_MAX && new TextDecoder().decode(bytes).includes('-----BEGIN ');
}

/** The bytes of the first PEM block, which must be an owner's. Headers are not believed. */
function unpem(exported: string | Bytes): Bytes {
  if (exported.length > IMPORT_CHARS_MAX) throw noPrivateKey('text is too long');
  let text = (typeof exported === 'string' ? exported : new TextDecoder().decode(exported)).trim();
  if (text.startsWith('"')) {
    try {
      text = String(JSON.parse(text));
    } catch {
      throw noPrivateKey('text is not a JSON string');
    }
  }
  const block = /-----BEGIN ([^\n-]+)-----\r?\n([^]*?)-----END \1-----/.exec(text);
  if (block?.[1] !== PEM_TYPE) throw noPrivateKey(`is not PEM of type ${PEM_TYPE}`);
  const lines = (block[2] as string).split('\n').map(line => line.trim());
  try {
    return Uint8Array.from(atob(lines.filter(line => !line.includes(':')).join('')), c => c.charCodeAt(0));
  } catch {
    throw noPrivateKey('is not PEM: its base64 is broken');
  }
}
