"""Owners (PROTOCOL §4): key pairs that sign records, and their public side."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import textwrap
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from .curve import P224, P384, Curve
from .errors import LfError, as_bytes, invalid
from .seeded import SeededRng, draw_scalar
from .text import base62_encode, decode_prefixed

OwnerType = Literal["p224", "p384", "ed25519"]

_PUBLIC_BYTES: dict[OwnerType, int] = {"p224": 14, "p384": 24, "ed25519": 32}
_SIGNATURE_BYTES: dict[OwnerType, int] = {"p224": 56, "p384": 96, "ed25519": 64}
_IDS: dict[OwnerType, int] = {"p224": 1, "p384": 2, "ed25519": 3}
_CURVES: dict[OwnerType, tuple[Curve, type[ec.EllipticCurve]]] = {
    "p224": (P224, ec.SECP224R1),
    "p384": (P384, ec.SECP384R1),
}
_PEM_TYPE = "LF OWNER PRIVATE KEY"
_IMPORT_BYTES_MAX = 1 << 16

_Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def owner_type_of_name(text: str) -> OwnerType:
    """Reads `p224`, `p384` or `ed25519`, in any letter case, `p-224` and `p-384` too."""
    name = text.strip().lower()
    for known in _IDS:
        if name in (known, known.replace("p", "p-")):
            return known
    raise LfError("ErrUnsupportedType", f"owner type {text!r} must be p224, p384 or ed25519")


def owner_type_of(public: bytes) -> OwnerType:
    """The type that an owner's public bytes tell by their length."""
    for owner_type, length in _PUBLIC_BYTES.items():
        if len(public) == length:
            return owner_type
    raise LfError("ErrInvalidPublicKey", f"owner of {len(public)} bytes: must be 14 (p224), 24 (p384) or 32 (ed25519)")


def signature_bytes(owner_type: OwnerType) -> int:
    """The length of a signature: 56, 96 or 64 bytes."""
    return _SIGNATURE_BYTES[owner_type]


def owner_text(public: bytes) -> str:
    """An owner as text, `@…`."""
    return "@" + base62_encode(public)


def parse_owner(text: str) -> bytes:
    """The public bytes of an owner written `@…`."""
    public = decode_prefixed("@", text, "owner")
    owner_type_of(public)
    return public


def verify_owner(public: bytes, digest: bytes, signature: bytes, strict: bool = False) -> bool:
    """Whether a signature over a digest is this owner's. `strict` refuses the high form of ECDSA signatures."""
    owner_type = owner_type_of(public)
    if len(signature) != _SIGNATURE_BYTES[owner_type]:
        return False
    if owner_type == "ed25519":
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, digest)
        except (InvalidSignature, ValueError):
            return False
        return True
    curve = _CURVES[owner_type][0]
    if strict and curve.is_high(signature):
        return False
    return any(curve.key_hash(key).startswith(public) for key in curve.recover_pair(digest, signature))


class Owner:
    """A key pair. Its private part leaves only by `export_pem` and `private_bytes`."""

    def __init__(self, key: _Key) -> None:
        """Takes a key of the `cryptography` package: Ed25519, SECP224R1 or SECP384R1."""
        self._key = key
        if isinstance(key, ed25519.Ed25519PrivateKey):
            self._type: OwnerType = "ed25519"
            self.public_bytes = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        else:
            for owner_type, (curve, library) in _CURVES.items():
                if isinstance(key.curve, library):
                    numbers = key.public_key().public_numbers()
                    self._type = owner_type
                    self.public_bytes = curve.key_hash((numbers.x, numbers.y))[: _PUBLIC_BYTES[owner_type]]
                    break
            else:
                raise LfError("ErrUnsupportedCurve", f"curve {key.curve.name} is not an owner's")

    @classmethod
    def generate(cls, owner_type: OwnerType = "ed25519") -> Owner:
        """A new key pair."""
        owner_type = owner_type_of_name(owner_type)
        if owner_type == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.generate())
        curve, library = _CURVES[owner_type]
        return cls(ec.derive_private_key(secrets.randbelow(curve.n - 1) + 1, library()))

    @classmethod
    def from_seed(cls, seed: bytes, owner_type: OwnerType = "p384") -> Owner:
        """The key pair of a seed: always the same one."""
        owner_type = owner_type_of_name(owner_type)
        rng = SeededRng(seed)
        if owner_type == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.from_private_bytes(rng.read(32)))
        curve, library = _CURVES[owner_type]
        return cls(ec.derive_private_key(draw_scalar(rng, curve.n), library()))

    @classmethod
    def from_passphrase(cls, passphrase: str, owner_type: OwnerType = "p384") -> Owner:
        """The owner of a passphrase. `passphrase_masking_key` gives the masking key that goes with it."""
        return cls.from_seed(_utf8(passphrase), owner_type)

    @classmethod
    def import_(cls, exported: str | bytes) -> Owner:
        """Reads PEM or private bytes: what `export_pem`, `lf owner export` and `lf owner exportstring` give."""
        data = _utf8(exported) if isinstance(exported, str) else as_bytes("private key", exported)
        if len(data) > _IMPORT_BYTES_MAX:
            raise _no_private_key("text is too long")
        if data.strip().startswith(b'"'):
            try:
                data = _utf8(str(json.loads(data)))
            except ValueError:
                raise _no_private_key("text is not a JSON string") from None
        if b"-----BEGIN " in data:
            return cls._from_private_bytes(_unpem(data))
        return cls._from_private_bytes(data)

    @classmethod
    def _from_private_bytes(cls, data: bytes) -> Owner:
        if data[:1] == b"\3":
            if len(data) != 65:
                raise _no_private_key("is not a valid ed25519 key")
            owner = cls(ed25519.Ed25519PrivateKey.from_private_bytes(data[1:33]))
        elif data[:1] in (b"\1", b"\2"):
            try:
                key = load_der_private_key(data[1:], None)
                owner = cls(key)  # type: ignore[arg-type]
            except (LfError, ValueError, TypeError, AttributeError, ArithmeticError):
                raise _no_private_key("is not a valid p224 or p384 key") from None
            except Exception as e:  # the library has its own class for curves it does not know
                if type(e).__name__ != "UnsupportedAlgorithm":
                    raise
                raise _no_private_key("is of an unknown curve") from None
        else:
            raise _no_private_key("has no known type id")
        # Another type id, another form or a public half of another key would all make other bytes.
        if owner.private_bytes() != data:
            raise _no_private_key("contradicts itself")
        return owner

    @property
    def public(self) -> str:
        """The owner as text, `@…`."""
        return owner_text(self.public_bytes)

    @property
    def type(self) -> OwnerType:
        """`p224`, `p384` or `ed25519`."""
        return self._type

    def __repr__(self) -> str:
        return f"Owner({self.public})"

    def __reduce__(self) -> str:
        raise TypeError("an owner's private key cannot be pickled: use export_pem")

    def private_bytes(self) -> bytes:
        """The private bytes: type id, then SEC1 DER or the Ed25519 seed and public key."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            body = self._key.private_bytes_raw() + self.public_bytes
        else:
            body = self._key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        return bytes([_IDS[self._type]]) + body

    def export_pem(self) -> str:
        """The private key as PEM, for `import_` and `lf owner import`. Keep it secret, in a file of mode 0600."""
        body = textwrap.fill(base64.b64encode(self.private_bytes()).decode(), 64)
        headers = f"Public: {self.public}\nType: {self.type}\n"
        return f"-----BEGIN {_PEM_TYPE}-----\n{headers}\n{body}\n-----END {_PEM_TYPE}-----\n"

    def private_hash(self) -> bytes:
        """PrivateHash, what pulses start from: as secret as the key."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return hashlib.sha256(self._key.private_bytes_raw() + self.public_bytes).digest()
        scalar = self._key.private_numbers().private_value
        return hashlib.sha256(scalar.to_bytes((scalar.bit_length() + 7) // 8, "big")).digest()

    def sign(self, digest: bytes) -> bytes:
        """Signs a 48-byte digest: r ‖ s with s ≤ n/2, or an Ed25519 signature."""
        if len(digest) != 48:
            raise invalid(f"digest of {len(digest)} bytes: must be 48")
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(digest)
        curve = _CURVES[self._type][0]
        r, s = decode_dss_signature(self._key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA384()))))
        s = min(s, curve.n - s)
        return r.to_bytes(curve.size, "big") + s.to_bytes(curve.size, "big")


def passphrase_masking_key(passphrase: str) -> bytes:
    """The masking key that goes with `Owner.from_passphrase`."""
    return hashlib.sha256(hashlib.sha256(_utf8(passphrase)).digest()).digest()


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        # Not shown: it may be a secret.
        raise invalid("text that holds half a surrogate pair") from None


def _no_private_key(problem: str) -> LfError:
    return LfError("ErrInvalidPrivateKey", f"owner private key {problem}")


def _unpem(data: bytes) -> bytes:
    """The bytes of the first PEM block, which must be an owner's. Headers are not believed."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _no_private_key("is not PEM") from None
    block = re.search(r"-----BEGIN ([^\n-]+)-----\r?\n(.*?)-----END \1-----", text, re.DOTALL)
    if block is None or block[1] != _PEM_TYPE:
        raise _no_private_key(f"is not PEM of type {_PEM_TYPE}")
    lines = [line.strip() for line in block[2].splitlines()]
    body = "".join(line for line in lines if ":" not in line)
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise _no_private_key("is not PEM: its base64 is broken") from None
