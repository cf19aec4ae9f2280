"""How far everybody had come when the reconciliation began.

It is taken before any receipt is read: what a role had read by then has its receipts in the
topic, so whatever has none and was read is lost, however busy the system is meanwhile.
"""

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import TopicPartition as KafkaPartition

from schemas.kafka import TopicPartition
from streams.names import Names, changelog
from streams.reading import Reader
from streams.topology import ROLES
from tables.state import Kind

_LOOK_SECONDS = 0.2
_PATIENCE = 50
"""Looks: ten seconds."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`read`: the offset up to which a role was done with a source; missing where it never began.

    The groups' offsets follow the roles' positions by a second, so what is behind them may be
    done, and what is before them certainly is.
    """

    read: Mapping[TopicPartition, int]
    changelog_ends: Mapping[TopicPartition, int]
    overtaken: int

    def is_read(self, place: TopicPartition, offset: int) -> bool:
        return offset < self.read.get(place, 0)


def durable(role: str, partition: int) -> TopicPartition:
    return TopicPartition(changelog(role, Kind.DURABLE), partition)


async def take(
    reader: Reader,
    *,
    names: Names,
    connection: Mapping[str, Any],
    topics: Collection[str],
    partitions: int,
) -> Snapshot:
    """Ask the cluster; `topics` are the installation's."""
    await reader.know(topics)
    groups = await _group_offsets(names, connection)
    # A topic that an earlier configuration had may be gone.
    read = {place: offset for place, offset in groups.items() if place.topic in topics}
    places = [durable(role, partition) for role in ROLES for partition in range(partitions)]
    ends = await reader.ends(places)
    begins = await reader.begins(read)
    overtaken = sum(max(0, begins[place] - offset) for place, offset in read.items())
    return Snapshot(read, ends, overtaken)


async def _group_offsets(names: Names, connection: Mapping[str, Any]) -> dict[TopicPartition, int]:
    client = AIOKafkaAdminClient(**connection)
    await client.start()
    try:
        found: dict[TopicPartition, int] = {}
        for role in ROLES:
            for place, at in (await _offsets(client, names.group(role))).items():
                found[TopicPartition(names.logical(place.topic), place.partition)] = at.offset
        return found
    finally:
        await client.close()


async def _offsets(client: AIOKafkaAdminClient, group: str) -> Mapping[KafkaPartition, Any]:
    """Whoever asks a cluster first makes it lay out the topic of such offsets, which takes a moment."""
    for _ in range(_PATIENCE):
        with contextlib.suppress(GroupCoordinatorNotAvailableError):
            offsets: Mapping[KafkaPartition, Any] = await client.list_consumer_group_offsets(group)
            return offsets
        await asyncio.sleep(_LOOK_SECONDS)
    raise GroupCoordinatorNotAvailableError(group)
