// Owners: keys, signatures and their forms (PROTOCOL.md §§3, 4).

import { ed25519 } from '@noble/curves/ed25519.js';
import { ecdsa, weierstrass } from '@noble/curves/abstract/weierstrass.js';
import { p384 } from '@noble/curves/nist.js';
import { sha224, sha256, sha384 } from '@noble/hashes/sha2.js';
import { base62Decode, base62Encode, concat, equal, fromBig, LfError, toBig, type Bytes } from './bytes';
import { Brainpool, keyHash, scalar, seeded, type Point } from './selector';

const hexBig = (digits: string) => BigInt(`0x${digits}`);

const P224 = weierstrass({
  p: hexBig('ffffffffffffffffffffffffffffffff000000000000000000000001'),
  n: hexBig('ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d'),
  h: 1n,
  a: hexBig('fffffffffffffffffffffffffffffffefffffffffffffffffffffffe'),
  b: hexBig('b4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4'),
  Gx: hexBig('b70e0cbd6bb4bf7f321390b94a03c1d356c21122343280d6115c1d21'),
  Gy: hexBig('bd376388b5f723fb4c22dfe6cd4375a05a07476444d5819985007e34'),
});

export type OwnerType = 'ed25519' | 'p224' | 'p384';
type PointClass = typeof Brainpool;

interface Curve {
  type: OwnerType;
  id: number;
  Point: PointClass;
  name: string;
  width: number;
  publicWidth: number;
  oid: Bytes;
  sign(digest: Bytes, secret: Bytes): Bytes;
}

const CURVES: Curve[] = [
  {
    type: 'p224',
    id: 1,
    Point: P224,
    name: 'P-224',
    width: 28,
    publicWidth: 14,
    oid: Uint8Array.of(0x2b, 0x81, 0x04, 0x00, 0x21),
    sign: (digest, secret) => ecdsa(P224, sha224).sign(digest.slice(0, 28), secret, { prehash: false, lowS: true }),
  },
  {
    type: 'p384',
    id: 2,
    Point: p384.Point as unknown as PointClass,
    name: 'P-384',
    width: 48,
    publicWidth: 24,
    oid: Uint8Array.of(0x2b, 0x81, 0x04, 0x00, 0x22),
    sign: (digest, secret) => ecdsa(p384.Point as unknown as PointClass, sha384).sign(digest, secret, { prehash: false, lowS: true }),
  },
];

function curveOf(type: OwnerType): Curve | undefined {
  return CURVES.find(curve => curve.type === type);
}

/** The type of an owner, by the length of its public bytes. */
export function ownerType(bytes: Bytes): OwnerType {
  if (bytes.length === 32) return 'ed25519';
  const curve = CURVES.find(one => one.publicWidth === bytes.length);
  if (!curve) throw new LfError(`an owner has 14, 24 or 32 bytes, not ${bytes.length}`, 'ErrInvalidPublicKey');
  return curve.type;
}

export function ownerBytes(owner: string): Bytes {
  if (!owner.startsWith('@')) throw new LfError(`${JSON.stringify(owner)} is no owner: it begins with @`, 'ErrInvalidPublicKey');
  const bytes = base62Decode(owner.slice(1));
  ownerType(bytes);
  return bytes;
}

/** Q = r⁻¹(sR − eG), where R has this x and the y of this parity. */
export function recover(Point: PointClass, width: number, r: bigint, s: bigint, digest: Bytes, parity: number): Point {
  const order = Point.Fn.ORDER;
  if (r < 1n || r >= order || s < 1n || s >= order) throw new LfError('a signature out of range');
  const R = Point.fromBytes(concat(Uint8Array.of(2 + parity), fromBig(r, width)));
  const e = toBig(digest.slice(0, width)) % order;
  const inverse = Point.Fn.inv(r);
  const [u1, u2] = [Point.Fn.create(-e * inverse), Point.Fn.create(s * inverse)];
  const G = u1 === 0n ? Point.ZERO : Point.BASE.multiplyUnsafe(u1);
  const Q = G.add(R.multiplyUnsafe(u2));
  if (Q.is0()) throw new LfError('a signature of nobody');
  return Q;
}

/** Whether an owner signed a digest of 48 bytes. */
export function verify(owner: Bytes, digest: Bytes, signature: Bytes): boolean {
  try {
    const type = ownerType(owner);
    const curve = curveOf(type);
    if (!curve) return ed25519.verify(signature, digest, owner, { zip215: true });
    if (signature.length !== 2 * curve.width) return false;
    const [r, s] = [toBig(signature.slice(0, curve.width)), toBig(signature.slice(curve.width))];
    return [0, 1].some(parity => {
      const Q = recover(curve.Point, curve.width, r, s, digest, parity);
      return equal(keyHash(Q, curve.width, curve.name).slice(0, curve.publicWidth), owner);
    });
  } catch {
    return false;
  }
}

/** A key pair. The private part is not shown but in {@link exportPem}. */
export class Owner {
  readonly public: string;
  readonly type: OwnerType;
  readonly bytes: Bytes;
  readonly #secret: Bytes;

  private constructor(type: OwnerType, secret: Bytes) {
    this.type = type;
    this.#secret = secret;
    const curve = curveOf(type);
    this.bytes = curve
      ? keyHash(curve.Point.BASE.multiply(toBig(secret)), curve.width, curve.name).slice(0, curve.publicWidth)
      : ed25519.getPublicKey(secret);
    this.public = `@${base62Encode(this.bytes)}`;
  }

  static generate(type: OwnerType = 'ed25519'): Owner {
    return Owner.drawn(type, count => crypto.getRandomValues(new Uint8Array(count)));
  }

  static fromPassphrase(passphrase: string, type: OwnerType = 'p384'): Owner {
    return Owner.drawn(type, seeded(new TextEncoder().encode(passphrase)));
  }

  private static drawn(type: OwnerType, random: (count: number) => Bytes): Owner {
    const curve = curveOf(type);
    return new Owner(type, curve ? fromBig(scalar(random, curve.Point.Fn.ORDER), curve.width) : random(32));
  }

  /** From PEM, a JSON string of it, or the private bytes. */
  static import(input: string | Bytes): Owner {
    const wrong = (why: string) => new LfError(why, 'ErrInvalidPrivateKey');
    let bytes: Bytes;
    if (typeof input === 'string') {
      let string = input.trim();
      if (string.startsWith('"')) {
        try {
          string = String(JSON.parse(string));
        } catch {
          throw wrong('a JSON string that does not end');
        }
      }
      const found = /-----BEGIN LF OWNER PRIVATE KEY-----\s([^]*?)-----END LF OWNER PRIVATE KEY-----/.exec(string);
      if (!found) throw wrong('no LF OWNER PRIVATE KEY is in the text');
      const base64 = (found[1] as string).split('\n').filter(line => !line.includes(':')).join('').replace(/\s/g, '');
      try {
        bytes = Uint8Array.from(atob(base64), c => c.charCodeAt(0));
      } catch {
        throw wrong('the PEM is damaged');
      }
    } else bytes = input;
    const [id, body] = [bytes[0], bytes.slice(1)];
    if (id === 3) {
      if (body.length !== 64) throw wrong('the key is cut off');
      const owner = new Owner('ed25519', body.slice(0, 32));
      if (!equal(owner.bytes, body.slice(32))) throw wrong('the public half is not the private half’s');
      return owner;
    }
    const curve = CURVES.find(one => one.id === id);
    if (!curve) throw wrong('the type of key is unknown');
    // SEC1: SEQUENCE { 1, OCTET STRING of the scalar, [0] the curve, [1] the public key }.
    const at = findOctets(body, curve.width);
    const secret = body.slice(at, at + curve.width);
    const n = toBig(secret);
    if (!includes(body, curve.oid) || n < 1n || n >= curve.Point.Fn.ORDER) throw wrong(`this is no ${curve.type} key`);
    return new Owner(curve.type, secret);
  }

  exportPem(): string {
    const curve = curveOf(this.type);
    let bytes: Bytes;
    if (curve) {
      const point = curve.Point.BASE.multiply(toBig(this.#secret)).toBytes(false);
      const body = concat(
        der(0x02, Uint8Array.of(1)),
        der(0x04, this.#secret),
        der(0xa0, der(0x06, curve.oid)),
        der(0xa1, der(0x03, concat(Uint8Array.of(0), point))),
      );
      bytes = concat(Uint8Array.of(curve.id), der(0x30, body));
    } else bytes = concat(Uint8Array.of(3), this.#secret, this.bytes);
    const base64 = btoa(String.fromCharCode(...bytes)).replace(/.{1,64}/g, '$&\n');
    return `-----BEGIN LF OWNER PRIVATE KEY-----\nPublic: ${this.public}\nType: ${this.type}\n\n${base64}-----END LF OWNER PRIVATE KEY-----\n`;
  }

  /** Signs a digest of 48 bytes. */
  sign(digest: Bytes): Bytes {
    const curve = curveOf(this.type);
    return curve ? curve.sign(digest, this.#secret) : ed25519.sign(digest, this.#secret);
  }

  /** PrivateHash: as secret as the key. */
  privateHash(): Bytes {
    if (this.type === 'ed25519') return sha256(concat(this.#secret, this.bytes));
    return sha256(fromBig(toBig(this.#secret)));
  }
}

function der(tag: number, content: Bytes): Bytes {
  const n = content.length;
  const length = n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 0xff];
  return concat(Uint8Array.of(tag, ...length), content);
}

function findOctets(body: Bytes, width: number): number {
  for (let i = 0; i < 8; i++) if (body[i] === 0x04 && body[i + 1] === width) return i + 2;
  throw new LfError('the key is damaged', 'ErrInvalidPrivateKey');
}

function includes(body: Bytes, part: Bytes): boolean {
  for (let i = 0; i + part.length <= body.length; i++) if (equal(body.slice(i, i + part.length), part)) return true;
  return false;
}
