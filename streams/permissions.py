"""What the cluster lets us do, asked before a worker starts: without that, an ACL that is missing
would show with the first record that needs it, and one of the group not even then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import HeartbeatRequest

from streams.access import Access
from streams.metadata_v8 import AuthorizedOperations
from streams.names import Names, few

_OF_TRANSACTIONS = 1
"""The kind of a coordinator."""
_OPERATIONS = {"Read": 3, "Write": 4, "DescribeConfigs": 10}
"""As Kafka numbers them, and the bits of its answers."""
_EVERYTHING = -1
"""All bits: what a cluster that does not tell is taken to allow."""
_NOT_TOLD = -(2**31)


@dataclass(frozen=True, slots=True)
class Missing:
    """An operation that we need and that the cluster refuses."""

    operation: str
    option: str
    """That of kafka-acls.sh for this kind of resource."""
    names: tuple[str, ...]
    is_prefix: bool = False

    def line(self, user: str | None) -> str:
        """In words, with the command that mends it."""
        kind = self.option.removeprefix("--").replace("-", " ")
        told = f"Kafka does not let us {self.operation} {kind} {few(self.names)}"
        all_of_them = "".join(f" {self.option} {name}" for name in self.names)
        pattern = " --resource-pattern-type prefixed" if self.is_prefix else ""
        who = f"--allow-principal User:{user or '...'} --operation {self.operation}"
        return f"kafka.security: {told}: kafka-acls.sh --add {who}{all_of_them}{pattern}"


async def missing(
    client: AIOKafkaAdminClient, access: Access, *, role: str, names: Names
) -> list[Missing]:
    """What a role lacks; nothing where there are no ACLs."""
    wanted = {
        "Read": access.topics,
        "Write": access.writes,
        "DescribeConfigs": access.topics,
    }
    allowed = await _on_topics(client, [names.physical(topic) for topic in access.topics])
    found = []
    for operation, topics in wanted.items():
        physical = sorted(map(names.physical, topics))
        lacking = tuple(name for name in physical if not _is_in(allowed[name], operation))
        if lacking:
            found.append(Missing(operation, "--topic", lacking))
    group = names.group(role)
    # A heartbeat of nobody: refused for lack of the right before anybody is looked for.
    heartbeat = HeartbeatRequest(group, -1, "")
    if await _refuses(client, heartbeat, GroupAuthorizationFailedError):
        found.append(Missing("Read", "--group", (group,)))
    coordinator = FindCoordinatorRequest(names.transactional_id(role, 0), _OF_TRANSACTIONS)
    if await _refuses(client, coordinator, TransactionalIdAuthorizationFailed):
        prefix = names.transactional_ids(role)
        found.append(Missing("Write", "--transactional-id", (prefix,), is_prefix=True))
    return found


def _is_in(allowed: int, operation: str) -> bool:
    return bool(allowed >> _OPERATIONS[operation] & 1)


async def _on_topics(client: AIOKafkaAdminClient, topics: list[str]) -> Mapping[str, int]:
    try:
        answer = await client._send_request(AuthorizedOperations(topics))
    except NotImplementedError:  # of aiokafka, about a broker older than version 8
        return dict.fromkeys(topics, _EVERYTHING)
    return {name: _told(code, operations) for code, name, _, _, operations in answer.topics}


def _told(code: int, operations: int) -> int:
    if code == TopicAuthorizationFailedError.errno:
        return 0
    return _EVERYTHING if code or operations == _NOT_TOLD else operations


async def _refuses(client: AIOKafkaAdminClient, request: Any, error: type[KafkaError]) -> bool:
    answer = await client._send_request(request)
    return bool(answer.error_code == error.errno)
