"""Access control lists on a real broker, given and taken away."""

from collections.abc import Sequence
from typing import Any, NamedTuple

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


class _AllAtOnce:
    """Of each request the broker takes 40 ms, however few it asks for."""

    def __init__(self, user: str, acls: Sequence[Acl]) -> None:
        self._acls = [_fields(user, acl) for acl in acls]

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._acls)


class _Creation(_AllAtOnce, CreateAclsRequest):  # type: ignore[misc]  # aiokafka is untyped
    pass


class _Deletion(_AllAtOnce, DeleteAclsRequest):  # type: ignore[misc]
    pass


async def grant(admin: AIOKafkaAdminClient, user: str, acls: Sequence[Acl]) -> None:
    answer = await admin._send_request(_Creation(user, acls))
    for acl, (code, told) in zip(acls, answer.creation_responses, strict=True):
        assert code == 0, f"{acl}: {for_code(code).__name__} {told}"


async def revoke(admin: AIOKafkaAdminClient, user: str, acls: Sequence[Acl]) -> None:
    answer = await admin._send_request(_Deletion(user, acls))
    for acl, (code, told, matching) in zip(acls, answer.filter_responses, strict=True):
        assert code == 0, f"{acl}: {for_code(code).__name__} {told}"
        assert len(matching) == 1, f"{acl} was never given"


def _fields(user: str, acl: Acl) -> tuple[int, str, int, str, str, int, int]:
    kind, pattern = _KINDS[acl.kind], _PATTERNS[acl.pattern]
    return kind, acl.name, pattern, f"User:{user}", "*", _OPERATIONS[acl.operation], _ALLOW
