"""The files of TLS that `kafka.security` names, as the context of a client; each fault by its key."""

import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from schemas.instants import to_ms
from streams.config_errors import ConfigInvalid
from streams.config_shape import SecurityShape


def tls_context(security: SecurityShape) -> ssl.SSLContext:
    """A context that checks the broker's certificate and its name, and shows ours if there is one.

    Raises:
        ConfigInvalid: a file cannot be read, or is not what its key says.
    """
    context = _trusting(security.ca_bundle)
    if security.certificate is not None and security.key is not None:
        password = _password(security)
        _look_at(security.certificate, security.key, password)
        try:
            # Without a password OpenSSL would ask the terminal for one, and wait.
            context.load_cert_chain(security.certificate, security.key, password)
        except ssl.SSLError as error:
            told = f"{security.key} does not go with the certificate {security.certificate}"
            raise _fault("key", f"{told} ({error.reason or error})") from None
    return context


def expires_ms(certificate: Path) -> int:
    """From when on a certificate counts no more; `tls_context` has looked at the file."""
    return to_ms(x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc)


def _trusting(ca_bundle: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except ssl.SSLError:
        raise _fault("ca_bundle", f"expected certificates in PEM, {ca_bundle} has none") from None
    except OSError as error:
        raise _unreadable("ca_bundle", ca_bundle, error) from None


def _look_at(certificate: Path, key: Path, password: bytes) -> None:
    """OpenSSL says of any of them only that it is wrong."""
    try:
        x509.load_pem_x509_certificate(certificate.read_bytes())
    except OSError as error:
        raise _unreadable("certificate", certificate, error) from None
    except ValueError:
        told = f"expected a certificate in PEM, {certificate} has none"
        raise _fault("certificate", told) from None
    try:
        load_pem_private_key(key.read_bytes(), password or None)
    except OSError as error:
        raise _unreadable("key", key, error) from None
    except TypeError:  # one of both is there without the other
        told = f"{key} is not encrypted: leave it out" if password else f"missing; {key} needs one"
        raise _fault("key_password", told) from None
    except ValueError:
        if password:
            told = f"does not open {key}, or that is no private key in PEM"
            raise _fault("key_password", told) from None
        raise _fault("key", f"expected a private key in PEM, {key} has none") from None


def _password(security: SecurityShape) -> bytes:
    given = security.key_password
    return b"" if given is None else given.get_secret_value().encode()


def _unreadable(member: str, file: Path | None, error: OSError) -> ConfigInvalid:
    return _fault(member, f"{file} cannot be read: {error.strerror}")


def _fault(member: str, told: str) -> ConfigInvalid:
    return ConfigInvalid([f"kafka.security.{member}: {told}"])
