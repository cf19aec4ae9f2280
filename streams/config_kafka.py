"""How to reach Kafka: what `faust.yaml` says, as the arguments of a client."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.config_errors import ConfigInvalid
from streams.config_shape import KafkaShape
from streams.config_tls import tls_context
from streams.names import Names

EMBEDDED = "embedded"
REQUEST_TIMEOUT_MS = 10_000
"""Of every request and every attempt to connect. A connection to a machine that vanished, or one
that waits in the queue of a broker that hangs, says nothing: only this ends it. aiokafka's 40 s
are more than a session: a heartbeat on such a connection would cost the membership."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """The cluster of an installation."""

    shape: KafkaShape
    data_dir: Path

    @property
    def is_embedded(self) -> bool:
        return self.shape.bootstrap == EMBEDDED

    @property
    def names(self) -> Names:
        return Names(self.shape.topic_prefix)

    @property
    def replication(self) -> int:
        return self.shape.replication or (1 if self.is_embedded else 3)

    @property
    def min_insync_replicas(self) -> int:
        """One less than there are: a broker may be away, an acknowledged record may not be lost."""
        return self.shape.min_insync_replicas or max(1, self.replication - 1)

    @property
    def embedded_dir(self) -> Path:
        return self.data_dir / "kafka"

    def connection(self) -> Mapping[str, Any]:
        """Arguments for every aiokafka client.

        Raises:
            ConfigInvalid: the embedded Kafka is meant and has never run, or as `tls`.
        """
        arguments: dict[str, Any] = {
            "bootstrap_servers": self._servers(),
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
        }
        security = self.shape.security
        if security.protocol != "PLAINTEXT":
            arguments["security_protocol"] = security.protocol
        if (context := self.tls()) is not None:
            arguments["ssl_context"] = context
        if security.protocol.startswith("SASL"):
            arguments |= {
                "sasl_mechanism": security.mechanism,
                "sasl_plain_username": security.username,
                "sasl_plain_password": _reveal(security.password),
            }
        return arguments

    def tls(self) -> ssl.SSLContext | None:
        """None where nothing is encrypted.

        Raises:
            ConfigInvalid: a file of TLS cannot be used.
        """
        security = self.shape.security
        return tls_context(security) if security.protocol.endswith("SSL") else None

    def _servers(self) -> str:
        if not self.is_embedded:
            return self.shape.bootstrap
        identity = self.embedded_dir / "identity.json"
        try:
            port = json.loads(identity.read_text())["port"]
        except (OSError, ValueError, KeyError):
            told = f"kafka.bootstrap: no embedded Kafka has run in {self.embedded_dir}"
            todo = "start `postrider up` or `postrider kafka`, or name a cluster"
            raise ConfigInvalid([f"{told}: {todo}"]) from None
        return f"127.0.0.1:{port}"


def _reveal(secret: Any) -> str | None:
    return None if secret is None else str(secret.get_secret_value())
