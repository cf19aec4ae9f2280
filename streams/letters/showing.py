"""A dead letter's original in words, with what nobody should read by accident covered."""

from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic_core import from_json

from policies.rules import NotificationType, Rules
from schemas import ids
from schemas.dead_letter import DeadLetter

COVERED = "***"
HIDDEN = f"{COVERED} (cannot be covered in part: --reveal shows it)"
_ADDRESSES = frozenset({"email", "phone", "token", "address"})
_IDS = frozenset(
    {"notification_id", "delivery_id", "broadcast_id", "slice_id", "address_hash"}
)  # fmt: skip


def original(letter: DeadLetter, rules: Rules, *, reveal: bool) -> Any:
    """What was given up, for JSON; fields that a type calls sensitive, and addresses, covered.

    Of a type that nobody knows all data is covered, and of what is no JSON everything.
    """
    if letter.value is None:
        return None
    if letter.kind == "deliveries":
        content = _batch(letter)
    else:
        try:
            # With its own bound of nesting, and no half of a character: what comes out can be printed.
            content = from_json(letter.value)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            return letter.value.decode(errors="backslashreplace") if reveal else HIDDEN
    return content if reveal else _covered(content, rules.types)


def summary(letter: DeadLetter) -> dict[str, Any]:
    """Everything about the letter but its original; header values may hold anything and stay out."""
    return {
        "occurred_at": letter.occurred_at,
        "stage": letter.stage,
        "cause": letter.cause,
        "detail": letter.detail,
        "kind": letter.kind,
        "round": letter.round,
        "origin": letter.origin,
        "appended_at": letter.appended_at,
        "headers": [name for name, _ in letter.headers],
        "bytes": letter.value_bytes,
        "sha256": letter.value_sha256,
    }


def _batch(letter: DeadLetter) -> dict[str, Any]:
    def fields(each: msgspec.Struct) -> dict[str, Any]:
        return {name: getattr(each, name) for name in each.__struct_fields__}

    batch = letter.batch()
    members = fields(batch)
    members["bodies"] = [fields(body) for body in batch.bodies]
    members["targets"] = [fields(target) for target in batch.targets]
    for holder in (members, *members["bodies"], *members["targets"]):
        for name in _IDS & holder.keys():
            holder[name] = ids.to_text(holder[name]) if holder[name] else ""
    return members


def _covered(content: Any, types: Mapping[str, NotificationType]) -> Any:
    if isinstance(content, list):
        return [_covered(each, types) for each in content]
    if not isinstance(content, dict):
        return content
    kind = types.get(str(content.get("type")))
    return {name: _covered_member(name, member, kind, types) for name, member in content.items()}


def _covered_member(
    name: str, member: Any, kind: NotificationType | None, types: Mapping[str, NotificationType]
) -> Any:
    if name in _ADDRESSES:
        return member if member in ("", None) else COVERED
    if name == "data" and isinstance(member, dict):
        covered = member.keys() if kind is None else kind.sensitive
        return {key: COVERED if key in covered else said for key, said in member.items()}
    return _covered(member, types)
