"""Kafka as others run it: with TLS, passwords and ACLs, or as brokers that copy each other."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from proof.cluster import KafkaCluster, assign_ports
from streams.embedded_kafka import EmbeddedKafka, KafkaUnavailable
from tests.certificates import Authority

ANN, PASSWORD = "ann", "correct horse"
"""Whoever may do everything, by any mechanism."""
_CLERKS = ("decide", "push")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_LISTENERS = {
    "tls": "SSL",
    "mutual": "SSL",
    "expired": "SSL",
    "misnamed": "SSL",
    "sasl": "SASL_PLAINTEXT",
    "sasl-tls": "SASL_SSL",
    "plain-only": "SASL_PLAINTEXT",
    "elsewhere": "PLAINTEXT",
}


@dataclass(frozen=True, slots=True)
class SecuredKafka:
    """One broker with a listener for each way to connect; `ports` are by listener."""

    broker: EmbeddedKafka
    ports: Mapping[str, int]
    trusted: Authority
    stranger: Authority
    """Whom the broker does not trust."""

    def address(self, listener: str) -> str:
        return f"127.0.0.1:{self.ports[listener]}"


def clerk_of(role: str) -> str:
    """Who may do nothing unless an ACL says so; the password is the same."""
    return f"{role}-clerk"


@contextlib.contextmanager
def running(*brokers: EmbeddedKafka) -> Iterator[None]:
    """All at once, since those of a cluster wait for each other.

    Where Kafka cannot run the tests fail in CI and are skipped at a desk, saying why.
    """
    try:
        for broker in brokers:
            broker.launch()
        for broker in brokers:
            broker.wait_until_answering()
        yield
    except KafkaUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    finally:
        for broker in brokers:
            broker.kill()  # nobody needs what they hold, and the last of a cluster stops slowly


def secured_kafka(folder: Path) -> SecuredKafka:
    """Not started yet. Anonymous is allowed everything on the plain listener."""
    trusted, stranger = Authority(folder, "trusted"), Authority(folder, "stranger")
    plain, *others = assign_ports(folder / "kafka", 1 + len(_LISTENERS))
    ports = dict(zip(_LISTENERS, others, strict=True))
    served = {**{name.upper(): port for name, port in ports.items()}, "PLAINTEXT": plain}
    controller = json.loads((folder / "kafka" / "identity.json").read_text())["controller_port"]
    own = {name: f"{name}://127.0.0.1:{port}" for name, port in served.items()}
    given = own | {"ELSEWHERE": f"ELSEWHERE://nowhere.invalid:{ports['elsewhere']}"}
    protocols = {name.upper(): protocol for name, protocol in _LISTENERS.items()}
    protocols |= {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
    properties = {
        "listeners": ",".join([*own.values(), f"CONTROLLER://127.0.0.1:{controller}"]),
        "advertised.listeners": ",".join(given.values()),
        "listener.security.protocol.map": ",".join(f"{n}:{p}" for n, p in protocols.items()),
        "listener.name.mutual.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{ANN};User:CN={ANN}",
        "connection.failed.authentication.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
    }
    for name, protocol in _LISTENERS.items():
        if protocol.endswith("SSL"):
            properties |= _tls(name, trusted)
        if protocol.startswith("SASL"):
            properties |= _sasl(name, ("PLAIN",) if name == "plain-only" else MECHANISMS)
    scram = [
        part
        for mechanism in MECHANISMS[1:]
        for part in ("--add-scram", f"{mechanism}=[name={ANN},password={PASSWORD}]")
    ]
    broker = EmbeddedKafka(
        folder / "kafka",
        heap_mb=256,
        properties=properties,
        format_options=("--standalone", *scram),
    )
    return SecuredKafka(broker, ports, trusted, stranger)


def _tls(listener: str, trusted: Authority) -> dict[str, str]:
    pair = trusted.issue(
        f"broker-{listener}",
        has_expired=listener == "expired",
        is_for_here=listener != "misnamed",
    )
    prefix = f"listener.name.{listener}.ssl"
    return {
        f"{prefix}.keystore.type": "PEM",
        f"{prefix}.keystore.location": str(pair.bundle()),
        f"{prefix}.truststore.type": "PEM",
        f"{prefix}.truststore.location": str(trusted.bundle),
    }


def _sasl(listener: str, mechanisms: tuple[str, ...]) -> dict[str, str]:
    package = "org.apache.kafka.common.security"
    known = " ".join(f'user_{name}="{PASSWORD}"' for name in (ANN, *map(clerk_of, _CLERKS)))
    prefix = f"listener.name.{listener}"
    properties = {f"{prefix}.sasl.enabled.mechanisms": ",".join(mechanisms)}
    for mechanism in mechanisms:
        module = (
            f"{package}.plain.PlainLoginModule required {known};"
            if mechanism == "PLAIN"
            else f"{package}.scram.ScramLoginModule required;"
        )
        properties[f"{prefix}.{mechanism.lower()}.sasl.jaas.config"] = module
    return properties


def three_brokers(folder: Path) -> list[EmbeddedKafka]:
    """That copy each other; not started yet."""
    properties = {"group.min.session.timeout.ms": "1000"}
    return KafkaCluster(folder, heap_mb=256, properties=properties).brokers
