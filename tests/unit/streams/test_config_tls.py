"""Files of TLS that cannot be used are told by their key in `faust.yaml`, and never asked about."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from streams.config_errors import ConfigInvalid
from streams.config_shape import SecurityShape
from streams.config_tls import tls_context
from tests.certificates import Authority, Pair


@dataclass(frozen=True, slots=True)
class Files:
    """What may be named in a configuration."""

    authority: Authority
    pair: Pair
    other: Pair
    locked: Pair
    """Its key needs the password `open`."""
    letter: Path
    """No PEM at all."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder, "authority")
    letter = folder / "letter"
    letter.write_text("Dear broker,\n")
    return Files(
        authority=authority,
        pair=authority.issue("ann"),
        other=authority.issue("bob"),
        locked=authority.issue("eve", password=b"open"),
        letter=letter,
    )


def shown(pair: Pair, **changed: object) -> SecurityShape:
    named = {"certificate": pair.certificate, "key": pair.key, **changed}
    return SecurityShape.model_validate({"protocol": "SSL", **named})


@pytest.mark.parametrize(
    ("security", "told"),
    [
        (
            lambda files: SecurityShape(protocol="SSL", ca_bundle=files.letter),
            "kafka.security.ca_bundle: expected certificates in PEM, .*letter has none",
        ),
        (
            lambda files: SecurityShape(protocol="SSL", ca_bundle=files.pair.key),
            "kafka.security.ca_bundle: expected certificates in PEM, .*ann.key has none",
        ),
        (
            lambda files: shown(files.pair, certificate=files.letter),
            "kafka.security.certificate: expected a certificate in PEM, .*letter has none",
        ),
        (
            lambda files: shown(files.pair, key=files.letter),
            "kafka.security.key: expected a private key in PEM, .*letter has none",
        ),
        (
            lambda files: shown(files.pair, key=files.other.key),
            "kafka.security.key: .*bob.key does not go with the certificate .*ann.pem",
        ),
        # OpenSSL would ask the terminal for it, and a worker would wait for ever
        (
            lambda files: shown(files.locked),
            "kafka.security.key_password: missing; .*eve.key needs one",
        ),
        (
            lambda files: shown(files.locked, key_password=SecretStr("shut")),
            "kafka.security.key_password: does not open .*eve.key",
        ),
        (
            lambda files: shown(files.pair, key_password=SecretStr("open")),
            "kafka.security.key_password: .*ann.key is not encrypted: leave it out",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told_by_its_key(
    files: Files, security: Callable[[Files], SecurityShape], told: str
) -> None:
    with pytest.raises(ConfigInvalid, match=f"^{told}"):
        tls_context(security(files))


def test_a_file_that_went_away_is_told_by_its_key(files: Files, tmp_path: Path) -> None:
    for member in ("ca_bundle", "certificate", "key"):
        path = tmp_path / f"{member}.pem"
        path.write_text("there when the configuration was read")
        security = shown(files.pair, **{member: path})
        path.unlink()

        with pytest.raises(ConfigInvalid, match=f"{member}: .*cannot be read: No such file"):
            tls_context(security)


def test_a_key_is_opened_with_its_password(files: Files) -> None:
    security = shown(files.locked, key_password=SecretStr("open"), ca_bundle=files.authority.bundle)

    assert tls_context(security).check_hostname
