"""Transactions that are torn on purpose: a part of one is committed, and the rest given up.

A broker that died has left one so (docs/decisions/0029). This does it in the name of brokers, by
requests that they send to each other (Kafka's protocol: DescribeTransactions, DescribeProducers,
WriteTxnMarkers), of which aiokafka knows nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)
from aiokafka.structs import TopicPartition as KafkaPartition

_TIMEOUT_MS = 30_000
_OPEN = "Ongoing"
_TEXT = CompactString("utf-8")
_NO_TAGS: dict[int, bytes] = {}
_TAGS = ("tags", TaggedFields)


def _each(*fields: Any) -> CompactArray:
    """A list of structures, as newer requests have them."""
    return CompactArray(*fields, _TAGS)


_PLACES = _each(("topic", _TEXT), ("partitions", CompactArray(Int32)))


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """As its coordinator tells of it; `places` are registered, and perhaps not written to yet."""

    transactional_id: str
    producer_id: int
    epoch: int
    places: Sequence[KafkaPartition]


class Tearer:
    """On one broker, which leads and coordinates everything. `client` is somebody else's to close."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    async def open_transactions(self, ids: Collection[str]) -> list[OpenTransaction]:
        answer = await self._ask(_DescribeTransactions([*ids]))
        return [
            OpenTransaction(
                name, producer_id, epoch,
                [KafkaPartition(topic, each) for topic, some, _ in topics for each in some],
            )
            for _, name, state, _, _, producer_id, epoch, topics, _ in answer.transactions
            if state == _OPEN
        ]  # fmt: skip

    async def begun_in(self, of: OpenTransaction) -> dict[KafkaPartition, int]:
        """Where something of it has been appended, and the epoch of the coordinator before."""
        places = [(place.topic, [place.partition], _NO_TAGS) for place in of.places]
        answer = await self._ask(_DescribeProducers(places))
        return {
            KafkaPartition(topic, partition): coordinator_epoch
            for topic, partitions, _ in answer.topics
            for partition, _, _, producers, _ in partitions
            for producer_id, _, _, _, coordinator_epoch, began_at, _ in producers
            if producer_id == of.producer_id and began_at >= 0
        }

    async def commit_in(
        self, of: OpenTransaction, place: KafkaPartition, coordinator_epoch: int
    ) -> bool:
        """Whether its end stands there now."""
        places = [(place.topic, [place.partition], _NO_TAGS)]
        marker = of.producer_id, of.epoch, True, places, max(coordinator_epoch, 0), _NO_TAGS
        answer = await self._ask(_WriteMarkers([marker]))
        ((_, ((_, ((_, code, _),), _),), _),) = answer.markers
        return bool(code == 0)

    async def give_up(self, of: OpenTransaction) -> None:
        """As a coordinator does that finds it too old: its producer is fenced, what is open aborted."""
        await self._ask(InitProducerIdRequest(of.transactional_id, _TIMEOUT_MS))

    async def _ask(self, request: Any) -> Any:
        return await self._client.send(self._client.get_random_node(), request)


def _kind(number: int, version: int, *, asked: Sequence[Any], told: Sequence[Any]) -> type[Any]:
    """A request of Kafka's that aiokafka does not know: built from its fields, in order."""
    about = {"API_KEY": number, "API_VERSION": version}
    response = type("Told", (Response,), {**about, "SCHEMA": Schema(*told, _TAGS)})
    schema = Schema(*asked, _TAGS)
    struct = type(
        "Asked",
        (RequestStruct,),
        {**about, "FLEXIBLE_VERSION": True, "RESPONSE_TYPE": response, "SCHEMA": schema},
    )

    class Kind(Request[struct]):  # type: ignore[misc]  # aiokafka tells no types
        API_KEY = number

        def __init__(self, *fields: Any) -> None:
            self._fields = fields

        def build(self, request_struct_class: Any) -> Any:
            return request_struct_class(*self._fields, _NO_TAGS)

    return Kind


def _of_partitions(*fields: Any) -> CompactArray:
    return _each(("topic", _TEXT), ("partitions", _each(("partition", Int32), *fields)))


_DescribeTransactions = _kind(
    65,
    0,
    asked=[("transactional_ids", CompactArray(_TEXT))],
    told=[
        ("throttle_time_ms", Int32),
        (
            "transactions",
            _each(
                ("error_code", Int16),
                ("transactional_id", _TEXT),
                ("state", _TEXT),
                ("timeout_ms", Int32),
                ("began_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                ("topics", _PLACES),
            ),
        ),
    ],
)
_PRODUCERS = _each(
    ("producer_id", Int64),
    ("producer_epoch", Int32),
    ("last_sequence", Int32),
    ("last_ms", Int64),
    ("coordinator_epoch", Int32),
    ("began_at", Int64),
)
_DescribeProducers = _kind(
    61,
    0,
    asked=[("topics", _PLACES)],
    told=[
        ("throttle_time_ms", Int32),
        (
            "topics",
            _of_partitions(
                ("error_code", Int16), ("error_message", _TEXT), ("producers", _PRODUCERS)
            ),
        ),
    ],
)
_WriteMarkers = _kind(
    27,
    1,
    asked=[
        (
            "markers",
            _each(
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                ("is_commit", Boolean),
                ("topics", _PLACES),
                ("coordinator_epoch", Int32),
            ),
        )
    ],
    told=[
        (
            "markers",
            _each(("producer_id", Int64), ("topics", _of_partitions(("error_code", Int16)))),
        )
    ],
)
