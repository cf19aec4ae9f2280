"""Mistakes that a user can mend, in words. What is not here is a bug and keeps its traceback."""

import re
from collections.abc import Sequence

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from streams.config_errors import ConfigInvalid, ConfigurationRefused
from streams.embedded_kafka import KafkaUnavailable
from streams.reaching import Unreachable

EXIT_MISTAKE = 2
_FORBIDDEN = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)


class Mistake(Exception):
    """Raised by a command for what its user can mend; its text is one line and says how."""


def words_for(error: Exception) -> Sequence[str]:
    """The lines to print; none for a bug."""
    match error:
        case ConfigInvalid() | ConfigurationRefused():
            return error.problems
        case Mistake() | KafkaUnavailable() | Unreachable():
            return [str(error)]
        case KafkaConnectionError():
            return [f"no Kafka answers at {_servers_in(error)}"]
        case _ if isinstance(error, _FORBIDDEN):
            told = f"an ACL is missing ({error})"
            return [f"kafka.security: {told}: docs/operations.md lists what each command needs"]
        case KafkaError():
            return [f"Kafka refuses: {error.__class__.__name__}: {error}"]
        case _:
            return []


def _servers_in(error: KafkaConnectionError) -> str:
    """aiokafka tells them as tuples of a socket module."""
    found = re.findall(r"\('([^']+)', (\d+)", str(error))
    return ", ".join(f"{host}:{port}" for host, port in found) or str(error)
