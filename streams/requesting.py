"""One request put on its topic the way every producer should, and the id it gets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from pydantic import TypeAdapter

from agents.decide import request_id_of
from agents.stage import Item
from schemas import ids
from schemas.decode import MessageDecoder
from schemas.kafka import InboundRecord
from schemas.notification import NotificationRequest
from streams.names import Names

_DECODE = MessageDecoder(TypeAdapter(NotificationRequest), on_ignored=lambda topic, count: None)


@dataclass(frozen=True, slots=True)
class Published:
    """Where a request was appended, and the id of what becomes of it."""

    notification_id: str
    topic: str
    partition: int
    offset: int


def checked(members: Mapping[str, Any]) -> tuple[NotificationRequest, bytes]:
    """The request and its record's value, by the very rules that `decide` will read it with.

    Raises:
        Undecodable: its detail names the fields and what is expected of them.
    """
    value = json.dumps(members, ensure_ascii=False).encode(errors="surrogatepass")
    return _DECODE(InboundRecord("", -1, -1, 0, None, value)), value


async def publish(
    producer: AIOKafkaProducer,
    request: NotificationRequest,
    value: bytes,
    *,
    topic: str,
    names: Names,
    partitions: int,
) -> Published:
    """Append it, keyed by its user and in their partition; returns once it is acknowledged."""
    partition = ids.partition_of(request.user_id, partitions)
    appended = await producer.send_and_wait(
        names.physical(topic), value, key=request.user_id.encode(), partition=partition
    )
    item = Item(
        request,
        topic=topic,
        partition=partition,
        offset=appended.offset,
        appended_ms=appended.timestamp,
    )
    return Published(ids.to_text(request_id_of(item)), topic, partition, appended.offset)
