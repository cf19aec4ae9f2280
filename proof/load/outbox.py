"""`Outbox`: puts records on topics, and promises on the ledger once the broker has them."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from proof.checker.evidence import (
    Asked,
    Broadcast,
    Cancellation,
    Change,
    Control,
    Promise,
    Request,
    Rubbish,
    Said,
    Unsure,
)
from proof.imported import changes_of
from proof.intents import IntentsLedger
from schemas import topics
from schemas.ids import partition_of
from schemas.kafka import Headers
from schemas.recipient_events import ImportBatch, encode_import
from streams.names import Names

PATIENCE_MS = 900_000
"""A broker that is away for ten minutes is waited for: what is sent then was promised, too."""

Place = tuple[int, str, int, int]
"""Append time, topic, partition, offset."""


class Outbox:
    """Nothing waits for an answer: a slow broker does not slow the load."""

    def __init__(
        self, connection: Mapping[str, Any], *, names: Names, partitions: int, ledger: IntentsLedger
    ) -> None:
        self._names = names
        self.partitions = partitions
        self._ledger = ledger
        self._producer = AIOKafkaProducer(
            **{**connection, "request_timeout_ms": PATIENCE_MS}, acks="all", enable_idempotence=True
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        """Since when nobody knows what was said: then there is nothing left to judge by."""

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self.flush()
        await self._producer.stop()

    async def flush(self) -> None:
        """Until everything is acknowledged; raises what went wrong with any of it."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._raise_failure()

    def request(
        self,
        number: int,
        topic: str,
        said: dict[str, Any],
        *,
        partition: int,
        headers: Headers = (),
    ) -> None:
        asked = msgspec.convert(said, Asked)

        def promise(place: Place) -> list[Promise]:
            return [Request(number, *place, asked)]

        value, user = _numbered(number, said), said["user_id"]
        self._put(topic, _json(value), promise, partition, user, headers, [_unsure(number, asked)])

    def requests(
        self, topic: str, said: Mapping[int, dict[str, Any]], *, partition: int, is_spoiled: bool
    ) -> None:
        """In one record; spoiled by something that is no request at its end."""
        asked = {number: msgspec.convert(each, Asked) for number, each in said.items()}

        def promise(place: Place) -> list[Promise]:
            rubbish = [Rubbish(*place, part=len(asked))] if is_spoiled else []
            return [*(Request(number, *place, each) for number, each in asked.items()), *rubbish]

        values: list[Any] = [_numbered(*each) for each in said.items()]
        if is_spoiled:
            values.append("no request")
        unsure = [_unsure(*each) for each in asked.items()]
        self._put(topic, _json(values), promise, partition, unsure=unsure)

    def broadcast(self, number: int, said: dict[str, Any], *, partition: int) -> None:
        value = _numbered(number, said)
        asked = msgspec.convert(said, Asked)

        def promise(place: Place) -> list[Promise]:
            return [Broadcast(number, *place, asked)]

        self._put(
            topics.BROADCASTS_REQUESTED, _json(value), promise, partition, unsure=[Unsure(number)]
        )

    def change(self, said: dict[str, Any], *, partition: int) -> None:
        told = msgspec.convert(said, Said)

        def promise(place: Place) -> list[Promise]:
            return [Change(*place, told, partition != self.home_of(told.user_id))]

        topic = topics.RECIPIENTS_CHANGED
        self._put(topic, _json(said), promise, partition, said["user_id"])

    def bring(self, batch: ImportBatch) -> None:
        """Lines of one partition."""

        def promise(place: Place) -> list[Promise]:
            lines = (said for line in batch.items for said in changes_of(line))
            return [Change(*place, msgspec.convert(said, Said)) for said in lines]

        home = self.home_of(batch.items[0].user_id)
        self._put(topics.RECIPIENTS_IMPORTED, encode_import(batch), promise, home)

    def cancel(self, said: dict[str, Any], *, key: str, user_id: str, partition: int) -> None:
        """`key` is that of the request or, without a user, of the broadcast."""

        def promise(place: Place) -> list[Promise]:
            return [Cancellation(place[0], key, user_id)]

        self._put(topics.NOTIFICATIONS_CANCELLED, _json(said), promise, partition)

    async def control(self, said: dict[str, Any]) -> None:
        """Returns once it was acknowledged: while Kafka is away what was said in turn is not kept so,
        and a pause after its resume would hold for ever."""
        name = f"{said['scope']}:{said['name']}"

        def promise(place: Place) -> list[Promise]:
            return [Control(place[0], said["action"], said["scope"], said["name"])]

        await asyncio.wait(
            [self._put(topics.CONTROLS, _json(said), promise, self.home_of(name), name)]
        )

    def rubbish(self, topic: str, value: bytes | None, *, partition: int) -> None:
        # With a key: a record without a value is a deletion, and a client sends none of nothing.
        self._put(topic, value, lambda place: [Rubbish(*place)], partition, "nobody")

    def home_of(self, key: str) -> int:
        return partition_of(key, self.partitions)

    def _put(
        self,
        topic: str,
        value: bytes | None,
        promise: Callable[[Place], list[Promise]],
        partition: int,
        key: str = "",
        headers: Headers = (),
        unsure: Sequence[Unsure] = (),
    ) -> asyncio.Task[None]:
        self._raise_failure()

        async def put() -> None:
            try:
                told = await self._producer.send_and_wait(
                    self._names.physical(topic),
                    value,
                    key=key.encode() or None,
                    partition=partition,
                    headers=list(headers),
                )
            except KafkaError:
                if not unsure:
                    raise  # a change that may have happened leaves nothing to judge by
                promised: Sequence[Promise] = unsure
            else:
                promised = promise((told.timestamp, topic, told.partition, told.offset))
            for each in promised:
                self._ledger.append(each)

        return self._start(put())

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error  # to raise it here would end nothing

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def _numbered(number: int, said: dict[str, Any]) -> dict[str, Any]:
    """Receipts echo which intent they are about."""
    return said | {"metadata": {"intent": number}}


def _unsure(number: int, asked: Asked) -> Unsure:
    return Unsure(number, asked.user_id, asked.idempotency_key or "")


def _json(said: Any) -> bytes:
    return json.dumps(said).encode()
