"""Access control lists on a real broker, given and taken away."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

_KINDS = {"topic": 2, "group": 3, "cluster": 4, "transactional id": 5}
_PATTERNS = {"literal": 3, "prefixed": 4}
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_ALLOW = 3


class Acl(NamedTuple):
    """One thing that one principal may do."""

    kind: str
    name: str
    operation: str
    pattern: str = "literal"


async def grant(admin: AIOKafkaAdminClient, user: str, acls: Iterable[Acl]) -> None:
    async def give(acl: Acl) -> None:
        answer = await admin._send_request(CreateAclsRequest(*_fields(user, acl)))
        ((code, told),) = answer.creation_responses
        assert code == 0, f"{acl}: {for_code(code).__name__} {told}"

    await asyncio.gather(*map(give, acls))


async def revoke(admin: AIOKafkaAdminClient, user: str, acls: Iterable[Acl]) -> None:
    async def take(acl: Acl) -> None:
        answer = await admin._send_request(DeleteAclsRequest(*_fields(user, acl)))
        ((code, told, matching),) = answer.filter_responses
        assert code == 0, f"{acl}: {for_code(code).__name__} {told}"
        assert len(matching) == 1, f"{acl} was never given"

    await asyncio.gather(*map(take, acls))


def _fields(user: str, acl: Acl) -> tuple[int, str, int, str, str, int, int]:
    kind, pattern = _KINDS[acl.kind], _PATTERNS[acl.pattern]
    return kind, acl.name, pattern, f"User:{user}", "*", _OPERATIONS[acl.operation], _ALLOW
