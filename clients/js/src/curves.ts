// The three curves (PROTOCOL.md §3): two of them in a form that gives back the key that signed. All arithmetic is
// noble-curves'.

import { weierstrass, type WeierstrassPoint, type WeierstrassPointCons } from '@noble/curves/abstract/weierstrass.js';
import { ed25519 } from '@noble/curves/ed25519.js';
import { p384 } from '@noble/curves/nist.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { concat, equal, fromBig, toBig, toBytes, type Bytes } from './bytes.js';
import { malformed } from './errors.js';

const big = (digits: string) => BigInt(`0x${digits}`);

export type Point = WeierstrassPoint<bigint>;

/** A curve: its points, the size of a coordinate in bytes, and the name that goes into the hash of a key. */
export interface Curve {
  readonly name: string;
  readonly size: number;
  readonly Point: WeierstrassPointCons<bigint>;
}

/** RFC 5639: selectors. */
export const P160: Curve = {
  name: 'brainpoolP160t1',
  size: 20,
  Point: weierstrass({
    p: big('E95E4A5F737059DC60DFC7AD95B3D8139515620F'),
    n: big('E95E4A5F737059DC60DF5991D45029409E60FC09'),
    h: 1n,
    a: big('E95E4A5F737059DC60DFC7AD95B3D8139515620C'),
    b: big('7A556B6DAE535B7B51ED2C4D7DAA7A0B5C55F380'),
    Gx: big('B199B13B9B34EFC1397E64BAEB05ACC265FF2378'),
    Gy: big('ADD6718B7C7C1961F0991B842443772152C9E0AD'),
  }),
};

/** Owners. */
export const P224: Curve = {
  name: 'P-224',
  size: 28,
  Point: weierstrass({
    p: big('ffffffffffffffffffffffffffffffff000000000000000000000001'),
    n: big('ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d'),
    h: 1n,
    a: big('fffffffffffffffffffffffffffffffefffffffffffffffffffffffe'),
    b: big('b4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4'),
    Gx: big('b70e0cbd6bb4bf7f321390b94a03c1d356c21122343280d6115c1d21'),
    Gy: big('bd376388b5f723fb4c22dfe6cd4375a05a07476444d5819985007e34'),
  }),
};

/** Owners. */
export const P384: Curve = { name: 'P-384', size: 48, Point: p384.Point };

/** H(Q). */
export function keyHash(curve: Curve, point: Point): Bytes {
  const { x, y } = point.toAffine();
  const b = concat(fromBig(x, curve.size), fromBig(y, curve.size), toBytes(curve.name));
  return sha256(concat(b, sha512(b)));
}

/** Q = r⁻¹(sR − eG), where R has the x r and a y of this parity. */
export function recover(curve: Curve, digest: Bytes, signature: Bytes, parity: number): Point {
  const { Point, size } = curve;
  const [r, s] = [toBig(signature.slice(0, size)), toBig(signature.slice(size))];
  const order = Point.Fn.ORDER;
  if (signature.length !== 2 * size || r < 1n || r >= order || s < 1n || s >= order) throw malformed('signature out of range');
  const R = Point.fromBytes(concat(Uint8Array.of(2 + parity), fromBig(r, size)));
  const e = toBig(digest.slice(0, size)) % order;
  const inverse = Point.Fn.inv(r);
  const [u1, u2] = [Point.Fn.create(-e * inverse), Point.Fn.create(s * inverse)];
  const G = u1 === 0n ? Point.ZERO : Point.BASE.multiplyUnsafe(u1);
  const Q = G.add(R.multiplyUnsafe(u2));
  if (Q.is0()) throw malformed('signature of nobody');
  return Q;
}

/** A private scalar from random bytes. */
export function drawScalar(curve: Curve, random: (count: number) => Bytes): bigint {
  const order = curve.Point.Fn.ORDER;
  const bits = order.toString(2).length;
  return (toBig(random(Math.floor(bits / 8) + 8)) % (order - 1n)) + 1n;
}

/** Whether an Ed25519 signature is good: s below the order, and R the very bytes of sB − kA. noble-curves' own check multiplies by
 * the cofactor, so it would take some that nodes refuse. */
export function verifyEd25519(signature: Bytes, message: Bytes, key: Bytes): boolean {
  if (signature.length !== 64 || key.length !== 32) return false;
  const { Point } = ed25519;
  const little = (bytes: Bytes) => toBig(bytes.slice().reverse());
  const r = signature.slice(0, 32);
  const s = little(signature.slice(32));
  if (s >= Point.Fn.ORDER) return false;
  try {
    const k = little(sha512(concat(r, key, message))) % Point.Fn.ORDER;
    const times = (point: typeof Point.BASE, n: bigint) => (n === 0n ? Point.ZERO : point.multiplyUnsafe(n));
    return equal(times(Point.BASE, s).subtract(times(Point.fromBytes(key, true), k)).toBytes(), r);
  } catch {
    // The key is no point.
    return false;
  }
}
