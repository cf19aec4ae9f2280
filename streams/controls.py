"""Pauses: what is held back now, and the word that begins or ends one."""

import json
from collections.abc import Sequence
from typing import Literal

from policies.stop_memory import Scope
from schemas.decode import ControlDecoder, Undecodable
from schemas.ids import partition_of
from schemas.instants import rfc3339
from schemas.kafka import InboundRecord, Record, TopicPartition
from schemas.notification import Control
from schemas.topics import CONTROLS
from streams.reading import Reader, inbound

_DECODE = ControlDecoder(on_ignored=lambda topic, count: None)


def record_of(
    action: Literal["pause", "resume"],
    scope: Scope,
    name: str,
    *,
    reason: str | None,
    now_ms: int,
    partitions: int,
) -> Record:
    """The record that says so; of each thing the last one holds, so they share a partition.

    Raises:
        Undecodable: its detail names the fields, by the rules that workers read it with.
    """
    said = {"action": action, "scope": scope, "name": name, "occurred_at": rfc3339(now_ms)}
    if reason is not None:
        said["reason"] = reason
    value = json.dumps(said).encode()
    key = _DECODE(InboundRecord(CONTROLS, -1, -1, 0, None, value)).record_key()
    return Record(CONTROLS, partition_of(key.decode(), partitions), value, key)


async def paused(reader: Reader, *, partitions: int) -> Sequence[Control]:
    """What is paused now, in the order of scope and name."""
    places = [TopicPartition(CONTROLS, number) for number in range(partitions)]
    held: dict[bytes, Control] = {}
    begins = await reader.begins(places)
    for place, end in (await reader.ends(places)).items():
        async for chunk in reader.read(place, begins[place], end):
            for record in chunk:
                _note(held, inbound(place, record))
    return [held[key] for key in sorted(held)]


def _note(held: dict[bytes, Control], record: InboundRecord) -> None:
    """As the workers do: what does not decode says nothing."""
    try:
        control = _DECODE(record)
    except Undecodable:
        return
    if control.action == "pause":
        held[control.record_key()] = control
    else:
        held.pop(control.record_key(), None)
