"""The three curves y² = x³ − 3x + b (PROTOCOL §3), in plain integers.

No library has brainpoolP160t1 or key recovery for these curves, so this is our own arithmetic, made for checking public
data. It is NOT constant time. The one secret it ever touches is the key that follows from a selector's name; owners'
keys are the library's (`owner.py`).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from functools import cached_property

from .errors import malformed

Point = tuple[int, int]
"""An affine point; infinity is None."""
_Jacobian = tuple[int, int, int]

_INFINITY: _Jacobian = (1, 1, 0)
_WINDOW_BITS = 4


@dataclass(frozen=True)
class Curve:
    """A curve of prime order n < p with cofactor 1."""

    name: str
    size: int
    p: int
    b: int
    n: int
    g: Point

    def _double(self, a: _Jacobian) -> _Jacobian:
        x, y, z = a
        if not z or not y:
            return _INFINITY
        p = self.p
        zz = z * z % p
        yy = y * y % p
        s = 4 * x * yy % p
        m = 3 * (x - zz) * (x + zz) % p
        x2 = (m * m - 2 * s) % p
        return x2, (m * (s - x2) - 8 * yy * yy) % p, 2 * y * z % p

    def _add(self, a: _Jacobian, b: _Jacobian) -> _Jacobian:
        x1, y1, z1 = a
        x2, y2, z2 = b
        if not z1:
            return b
        if not z2:
            return a
        p = self.p
        zz1, zz2 = z1 * z1 % p, z2 * z2 % p
        u1, u2 = x1 * zz2 % p, x2 * zz1 % p
        s1, s2 = y1 * zz2 * z2 % p, y2 * zz1 * z1 % p
        if u1 == u2:
            return self._double(a) if s1 == s2 else _INFINITY
        h, r = u2 - u1, s2 - s1
        hh = h * h % p
        hhh, v = h * hh % p, u1 * hh % p
        x3 = (r * r - hhh - 2 * v) % p
        return x3, (r * (v - x3) - s1 * hhh) % p, z1 * z2 * h % p

    def _window(self, point: Point) -> list[_Jacobian]:
        table: list[_Jacobian] = [_INFINITY, (point[0], point[1], 1)]
        while len(table) < 1 << _WINDOW_BITS:
            table.append(self._add(table[-1], table[1]))
        return table

    @cached_property
    def _generator_windows(self) -> list[list[_Jacobian]]:
        """For each digit of a scalar, that digit's multiples of the generator: no doublings when multiplying."""
        windows = []
        base = self.g
        for _ in range(0, self.n.bit_length(), _WINDOW_BITS):
            table = self._window(base)
            windows.append(table)
            following = self._affine(self._add(table[-1], table[1]))
            if following is None:  # the order is prime, so no such multiple is infinity
                raise AssertionError("a multiple of the generator is infinity")
            base = following
        return windows

    def _multiply(self, k: int, point: Point) -> _Jacobian:
        table = self._window(point)
        result = _INFINITY
        for shift in range((k.bit_length() + 3) // 4 * 4 - 4, -1, -_WINDOW_BITS):
            for _ in range(_WINDOW_BITS):
                result = self._double(result)
            result = self._add(result, table[k >> shift & 15])
        return result

    def _multiply_generator(self, k: int) -> _Jacobian:
        result = _INFINITY
        for i, table in enumerate(self._generator_windows):
            result = self._add(result, table[k >> (_WINDOW_BITS * i) & 15])
        return result

    def _affine(self, a: _Jacobian) -> Point | None:
        x, y, z = a
        if not z:
            return None
        inverse = pow(z, -1, self.p)
        square = inverse * inverse % self.p
        return x * square % self.p, y * square * inverse % self.p

    def generator_times(self, k: int) -> Point:
        """k times the generator, for k in [1, n − 1]. Not constant time."""
        point = self._affine(self._multiply_generator(k % self.n))
        if point is None:
            raise ValueError("the scalar is a multiple of the order")
        return point

    def _sqrt(self, a: int) -> int | None:
        p = self.p
        if p % 4 == 3:
            root = pow(a, (p + 1) // 4, p)
        else:
            root = self._sqrt_tonelli(a)
        return root if root * root % p == a % p else None

    @cached_property
    def _tonelli(self) -> tuple[int, int, int]:
        """q and s with p − 1 = q·2ˢ, and c = z^q for a non-residue z."""
        q, s = self.p - 1, 0
        while q % 2 == 0:
            q, s = q // 2, s + 1
        z = 2
        while pow(z, (self.p - 1) // 2, self.p) != self.p - 1:
            z += 1
        return q, s, pow(z, q, self.p)

    def _sqrt_tonelli(self, a: int) -> int:
        p = self.p
        if pow(a, (p - 1) // 2, p) != 1:
            return 0
        q, m, c = self._tonelli
        t, r = pow(a, q, p), pow(a, (q + 1) // 2, p)
        while t != 1:
            i, power = 0, t
            while power != 1:
                power, i = power * power % p, i + 1
            factor = pow(c, 1 << (m - i - 1), p)
            m, c = i, factor * factor % p
            t, r = t * c % p, r * factor % p
        return r

    def lift_x(self, x: int, parity: int) -> Point | None:
        """The point with this x and a y of this parity, if there is one."""
        if not 0 <= x < self.p:
            return None
        y = self._sqrt((x * x * x - 3 * x + self.b) % self.p)
        if y is None:
            return None
        if y & 1 != parity:
            y = self.p - y
        return (x, y) if y & 1 == parity and y < self.p else None

    def compressed(self, point: Point) -> bytes:
        """`02` or `03`, then x."""
        return bytes([2 + (point[1] & 1)]) + point[0].to_bytes(self.size, "big")

    def key_hash(self, point: Point) -> bytes:
        """H(Q), 32 bytes: what owners and selector keys are made of."""
        xy = point[0].to_bytes(self.size, "big") + point[1].to_bytes(self.size, "big")
        data = xy + self.name.encode()
        return hashlib.sha256(data + hashlib.sha512(data).digest()).digest()

    def message(self, digest: bytes) -> int:
        """The integer that is signed for a digest: its leading bytes, as many as the order has."""
        return int.from_bytes(digest[: self.size], "big")

    def _scalars(self, signature: bytes) -> tuple[int, int] | None:
        if len(signature) != 2 * self.size:
            return None
        r = int.from_bytes(signature[: self.size], "big")
        s = int.from_bytes(signature[self.size :], "big")
        return (r, s) if 0 < r < self.n and 0 < s < self.n else None

    def is_high(self, signature: bytes) -> bool:
        """Whether s > n/2: the form that our signers never make."""
        return 2 * int.from_bytes(signature[self.size :], "big") > self.n

    def recover_pair(self, digest: bytes, signature: bytes) -> list[Point]:
        """The keys, none to two, under which r ‖ s is a signature of the digest."""
        scalars = self._scalars(signature)
        if scalars is None:
            return []
        r, s = scalars
        big_r = self.lift_x(r, 0)
        if big_r is None:
            return []
        inverse = pow(r, -1, self.n)
        minus_e = self._multiply_generator(-self.message(digest) * inverse % self.n)
        x, y, z = self._multiply(s * inverse % self.n, big_r)
        keys = [self._affine(self._add(q, minus_e)) for q in ((x, y, z), (x, self.p - y, z))]
        return [key for key in keys if key is not None]

    def recover(self, digest: bytes, signature: bytes, parity: int) -> Point | None:
        """The key of a recoverable signature, if there is one."""
        scalars = self._scalars(signature)
        if scalars is None or parity not in (0, 1):
            return None
        r, s = scalars
        big_r = self.lift_x(r, parity)
        if big_r is None:
            return None
        inverse = pow(r, -1, self.n)
        minus_e = self._multiply_generator(-self.message(digest) * inverse % self.n)
        return self._affine(self._add(self._multiply(s * inverse % self.n, big_r), minus_e))

    def sign_recoverable(self, d: int, digest: bytes) -> tuple[bytes, int]:
        """r ‖ s with s ≤ n/2, and the parity of R's y. Not constant time: for selectors' keys only."""
        e = self.message(digest)
        while True:
            k = secrets.randbelow(self.n - 1) + 1
            x, y = self.generator_times(k)
            r = x % self.n
            # The inverse is of a blinded nonce: how long it takes says nothing of k.
            blind = secrets.randbelow(self.n - 1) + 1
            s = pow(k * blind, -1, self.n) * blind * (e + r * d) % self.n
            # r must be x itself, so that who recovers the key finds R.
            if r == 0 or s == 0 or r != x:
                continue
            parity = y & 1
            if 2 * s > self.n:
                s, parity = self.n - s, parity ^ 1
            return r.to_bytes(self.size, "big") + s.to_bytes(self.size, "big"), parity


P160 = Curve(
    "brainpoolP160t1",
    20,
    p=0xE95E4A5F737059DC60DFC7AD95B3D8139515620F,
    b=0x7A556B6DAE535B7B51ED2C4D7DAA7A0B5C55F380,
    n=0xE95E4A5F737059DC60DF5991D45029409E60FC09,
    g=(0xB199B13B9B34EFC1397E64BAEB05ACC265FF2378, 0xADD6718B7C7C1961F0991B842443772152C9E0AD),
)
"""brainpoolP160t1 (RFC 5639, twisted): selectors."""

P224 = Curve(
    "P-224",
    28,
    p=2**224 - 2**96 + 1,
    b=0xB4050A850C04B3ABF54132565044B0B7D7BFD8BA270B39432355FFB4,
    n=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D,
    g=(
        0xB70E0CBD6BB4BF7F321390B94A03C1D356C21122343280D6115C1D21,
        0xBD376388B5F723FB4C22DFE6CD4375A05A07476444D5819985007E34,
    ),
)
"""P-224: owners."""

P384 = Curve(
    "P-384",
    48,
    p=2**384 - 2**128 - 2**96 + 2**32 - 1,
    b=0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    n=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    g=(
        0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
        0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
    ),
)
"""P-384: owners."""


def decompress(curve: Curve, data: bytes) -> Point:
    """The point of a compressed key."""
    if len(data) != 1 + curve.size or data[0] not in (2, 3):
        raise malformed(f"not a compressed {curve.name} key")
    point = curve.lift_x(int.from_bytes(data[1:], "big"), data[0] - 2)
    if point is None:
        raise malformed(f"not a point of {curve.name}")
    return point
