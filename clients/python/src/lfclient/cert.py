"""Certificates (PROTOCOL §10): reading what authorities issue and revoke, and checking one link of a chain.

Whether an owner counts as certified is a node's to say (`Client.owner_status`, `Found.signed`): it knows all
revocations. This is for looking at certificates.
"""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from .curve import P224, P384
from .errors import LfError, malformed
from .owner import owner_text, owner_type_of
from .text import base62_decode, base62_encode

MASKING_KEY = b"lfCertificate"
"""Masks the values of certificate and CRL records."""
_BYTES_MAX = 65_536
# What the library raises for bytes that it does not like.
_MALFORMED = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def serial_text(serial: int) -> str:
    """A serial number as text."""
    return base62_encode(serial.to_bytes((serial.bit_length() + 7) // 8, "big"))


def _serial_attribute(name: x509.Name) -> str | None:
    attributes = name.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    value = attributes[0].value if len(attributes) == 1 else None
    return value if isinstance(value, str) else None


def _serial_of(name: x509.Name) -> int | None:
    try:
        return int.from_bytes(base62_decode(_serial_attribute(name) or ""), "big") or None
    except LfError:
        return None


def _seconds(time: datetime.datetime) -> int:
    return int((time - _EPOCH).total_seconds())


class Certificate:
    """An X.509 certificate, of an authority or of an owner."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self._x509 = certificate
        # Read once, here, so that nothing malformed is met later.
        try:
            self.serial = certificate.serial_number
            self.subject = certificate.subject.rfc4514_string()
            self.not_before = _seconds(certificate.not_valid_before_utc)
            self.not_after = _seconds(certificate.not_valid_after_utc)
            extensions = certificate.extensions
            self._subject_serial = _serial_attribute(certificate.subject)
            self.issuer_serial = _serial_of(certificate.issuer)
        except _MALFORMED as e:
            raise malformed(f"certificate is malformed: {e}".split("\n")[0]) from None
        if not self.encode().endswith(b"\0" + certificate.signature):
            # The library ignores how many bits of the signature are said to be unused: it could be changed.
            raise malformed("certificate has a signature of broken bytes")
        self._usage = self._constraints = None
        for extension in extensions:
            if isinstance(extension.value, x509.KeyUsage):
                self._usage = extension.value
            elif isinstance(extension.value, x509.BasicConstraints):
                self._constraints = extension.value

    @classmethod
    def parse(cls, der: bytes) -> Certificate:
        """Reads one certificate in DER."""
        if len(der) > _BYTES_MAX:
            raise malformed(f"certificate of {len(der)} bytes is too large")
        try:
            return cls(x509.load_der_x509_certificate(der))
        except _MALFORMED as e:
            raise malformed(f"not a certificate: {e}".split("\n")[0]) from None

    @classmethod
    def parse_all(cls, row: bytes) -> list[Certificate]:
        """Reads certificates in a row: what a record or a genesis parameter holds."""
        certificates = []
        while row:
            length = _der_length(row)
            certificates.append(cls.parse(row[:length]))
            row = row[length:]
        return certificates

    def encode(self) -> bytes:
        """Its DER."""
        return self._x509.public_bytes(Encoding.DER)

    @property
    def is_ca(self) -> bool:
        """Whether it says that it is an authority's."""
        return self._constraints is not None and self._constraints.ca

    @property
    def is_authority(self) -> bool:
        """Whether it can issue certificates."""
        return self.is_ca and self._usage is not None and self._usage.key_cert_sign

    @property
    def signs_crls(self) -> bool:
        """Whether it can issue revocation lists."""
        return self.is_ca and self._usage is not None and self._usage.crl_sign

    @property
    def subject_owner(self) -> str | None:
        """The owner that it certifies, `@…`; None for an authority."""
        if self.is_ca or self._subject_serial is None:
            return None
        try:
            public = base62_decode(self._subject_serial)
            owner_type_of(public)
            return owner_text(public)
        except LfError:
            return None

    @property
    def key_owner(self) -> str | None:
        """The owner that has its key, `@…`: for a root, who publishes what it issues."""
        try:
            key = self._x509.public_key()
        except _MALFORMED:
            return None
        if isinstance(key, ec.EllipticCurvePublicKey):
            for curve, length in ((P224, 14), (P384, 24)):
                if key.curve.key_size == 8 * curve.size and key.curve.name.startswith("secp"):
                    numbers = key.public_numbers()
                    return owner_text(curve.key_hash((numbers.x, numbers.y))[:length])
        return None

    def issued(self, other: Certificate) -> bool:
        """Whether this one issued another: it may, it is named, it was valid then, and the signature is its key's."""
        itself = self.encode() == other.encode()
        path_length = self._constraints.path_length if self._constraints is not None else None
        may = self.is_authority and (itself or not other.is_ca or path_length != 0)
        timely = self.not_before <= other.not_before <= self.not_after
        if not may or not timely or other.issuer_serial != self.serial:
            return False
        try:
            # Names are not compared byte by byte: the issuer's serial number tells who it is.
            hash_algorithm = other._x509.signature_hash_algorithm
            key = self._x509.public_key()
            if hash_algorithm is None or not isinstance(key, ec.EllipticCurvePublicKey):
                return False
            key.verify(other._x509.signature, other._x509.tbs_certificate_bytes, ec.ECDSA(hash_algorithm))
        except (InvalidSignature, *_MALFORMED):
            return False
        return True

    def issued_crl(self, crl: Crl) -> bool:
        """Whether this one issued a revocation list."""
        if not self.signs_crls or crl.issuer_serial != self.serial:
            return False
        try:
            key = self._x509.public_key()
            return isinstance(key, ec.EllipticCurvePublicKey) and crl.verify(key)
        except _MALFORMED:
            return False


class Crl:
    """A revocation list."""

    def __init__(self, der: bytes) -> None:
        if len(der) > _BYTES_MAX:
            raise malformed(f"revocation list of {len(der)} bytes is too large")
        try:
            self._x509 = x509.load_der_x509_crl(der)
            self.issuer_serial = _serial_of(self._x509.issuer)
            self.this_update = _seconds(self._x509.last_update_utc)
            self.revoked = tuple(entry.serial_number for entry in self._x509)
        except _MALFORMED as e:
            raise malformed(f"not a revocation list: {e}".split("\n")[0]) from None
        if not der.endswith(b"\0" + self._x509.signature):
            raise malformed("revocation list has a signature of broken bytes")

    def verify(self, key: ec.EllipticCurvePublicKey) -> bool:
        """Whether the signature is a key's."""
        return self._x509.is_signature_valid(key)


def _der_length(data: bytes) -> int:
    """The length of the first DER value."""
    if len(data) < 2 or data[0] != 0x30:
        raise malformed("not a certificate")
    first = data[1]
    if first < 0x80:
        return 2 + first
    count = first & 0x7F
    if not 1 <= count <= 3 or len(data) < 2 + count:
        raise malformed("not a certificate")
    return 2 + count + int.from_bytes(data[2 : 2 + count], "big")
