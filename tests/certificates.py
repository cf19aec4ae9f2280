"""Certificates of a test's own: an authority, and what it vouches for."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
_LONG_AGO = _YESTERDAY - datetime.timedelta(days=9)
_LATER = _YESTERDAY + datetime.timedelta(days=9)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, each in a file."""

    certificate: Path
    key: Path

    def bundle(self) -> Path:
        """Both in one file, as Kafka wants them."""
        path = self.certificate.with_suffix(".both.pem")
        path.write_bytes(self.key.read_bytes() + self.certificate.read_bytes())
        return path


class Authority:
    """Whoever trusts its bundle trusts what it has issued."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        unsigned = _unsigned(self._name, self._name, self._key.public_key(), until=_LATER)
        unsigned = unsigned.add_extension(x509.BasicConstraints(True, None), critical=True)
        self.bundle = folder / f"{name}.ca.pem"
        signed = unsigned.sign(self._key, hashes.SHA256())
        self.bundle.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        has_expired: bool = False,
        is_for_here: bool = True,
        password: bytes | None = None,
    ) -> Pair:
        """For a broker on this machine or on another, or for a client called `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        until = _YESTERDAY if has_expired else _LATER
        unsigned = _unsigned(_named(name), self._name, key.public_key(), until=until)
        here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        names = here if is_for_here else [x509.DNSName("kafka.example.org")]
        unsigned = unsigned.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = unsigned.sign(self._key, hashes.SHA256())
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        pair.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(password)
                if password
                else serialization.NoEncryption(),
            )
        )
        return pair


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _unsigned(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    *,
    until: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_LONG_AGO)
        .not_valid_after(until)
    )
