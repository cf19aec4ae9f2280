"""`Collector`: reads receipts, dead letters and inboxes into the folder of evidence, and knows what is
open."""

import asyncio
import contextlib
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from proof.checker import ledgers
from proof.checker.contents import hash_of_places
from proof.checker.evidence import Receipt, Shown
from proof.checker.instants import ms_of
from proof.intents import acknowledged
from schemas import topics
from streams.names import Names, changelog
from tables.inbox import Message
from tables.state import Kind

_HELD = frozenset({"quiet_hours", "legal_window", "daily_limit"})
"""What a policy holds back may stay so for hours."""
_RETRY_SECONDS = 0.5
_decode = msgspec.json.Decoder(Receipt).decode
_decode_kept = msgspec.msgpack.Decoder(tuple[int, Message]).decode


class Doubt(NamedTuple):
    """A delivery whose outcome a crash has lost."""

    channel: str
    type: str
    told_ms: int


class Collector:
    """One for an installation; never struck. Values are written as they were read."""

    def __init__(self, connection: Mapping[str, Any], *, names: Names, folder: Path) -> None:
        self._receipts = names.physical(topics.RECEIPTS)
        self._letters = names.physical(topics.DEAD_LETTERS)
        self._inboxes = names.physical(changelog("in_app", Kind.DURABLE))
        self._connection = connection
        self._folder = folder
        self._consumer = self._new_consumer()
        self._next: dict[Any, int] = {}
        """Where each partition is read on."""
        self._files: dict[str, int] = {}
        self._reading: asyncio.Task[None] | None = None
        self._answered: set[int] = set()
        self._open: dict[str, int] = {}
        """Deliveries under way, and how many devices they go to."""
        self._ended: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        """Devices that have come to their end in a round of a delivery: what is written again of a
        transaction that was torn may come after that."""
        self.heard_at = time.monotonic()
        """When the last receipt came."""
        self.doubts: list[Doubt] = []

    async def start(self) -> None:
        await self._consumer.start()
        self._reading = asyncio.create_task(self._read())

    async def stop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        with contextlib.suppress(KafkaError):
            await self._consumer.stop()
        for each in self._files.values():
            os.close(each)

    @property
    def open_deliveries(self) -> int:
        """Decided, and not at their end; those that a policy holds back for hours not counted."""
        return len(self._open)

    @property
    def in_flight(self) -> int:
        """Requests that nobody has answered yet, and deliveries under way."""
        return max(0, acknowledged(self._folder) - len(self._answered)) + len(self._open)

    async def has_read_all(self) -> bool:
        """Whether it has come to the end of what is committed."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        return bool(ends) and not any(
            [await self._consumer.position(place) < end for place, end in ends.items()]
        )

    @property
    def is_broken(self) -> bool:
        return self._reading is not None and self._reading.done()

    async def _read(self) -> None:
        while True:
            with contextlib.suppress(KafkaError):  # a broker that is away comes back
                for place, records in (await self._consumer.getmany(timeout_ms=200)).items():
                    self._next[place] = records[-1].offset + 1
                    if place.topic == self._inboxes:
                        self._append(_shown(records))
                        continue
                    values = [each.value for each in records if each.value is not None]
                    if place.topic == self._letters:
                        self._append({ledgers.LETTERS: values})
                    else:
                        self._take(values)
            if self._consumer._fetcher.error_future.done():
                await self._begin_anew()

    async def _begin_anew(self) -> None:
        """aiokafka's task that fetches may end with a broker that restarts, and says so at the end
        only: until then there is nothing to read."""
        while True:
            with contextlib.suppress(KafkaError):
                await self._consumer.stop()
            self._consumer = self._new_consumer()
            with contextlib.suppress(KafkaError):  # a broker that is away comes back
                await self._consumer.start()
                for place, offset in self._next.items():
                    self._consumer.seek(place, offset)
                return
            await asyncio.sleep(_RETRY_SECONDS)

    def _new_consumer(self) -> Any:
        return AIOKafkaConsumer(
            self._receipts,
            self._letters,
            self._inboxes,
            **self._connection,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            metadata_max_age_ms=5_000,
        )

    def _take(self, values: list[bytes]) -> None:
        shards: defaultdict[str, list[bytes]] = defaultdict(list)
        for value in values:
            receipt = _decode(value)
            shards[ledgers.receipts_of(ledgers.shard_of(receipt.user_id))].append(value)
            self._note(receipt)
        self._append(shards)
        self.heard_at = time.monotonic()

    def _note(self, receipt: Receipt) -> None:
        self._answered.add(receipt.metadata.intent)
        if receipt.kind != "delivery":
            return
        count = self._open.get(receipt.delivery_id, 1)
        if receipt.status == "queued":
            count = receipt.device_count
        ended = self._ended[receipt.delivery_id, receipt.round]
        if receipt.is_end:
            ended.add(receipt.device_id)
        if receipt.reason == "outcome_lost":
            self.doubts.append(Doubt(receipt.channel, receipt.type, ms_of(receipt.occurred_at)))
        is_held = receipt.status == "deferred" and receipt.reason in _HELD
        if is_held or len(ended) >= count:
            self._open.pop(receipt.delivery_id, None)
        else:
            self._open[receipt.delivery_id] = count

    def _append(self, lines: Mapping[str, list[bytes]]) -> None:
        for name, values in lines.items():
            if name not in self._files:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                self._files[name] = os.open(self._folder / name, flags, 0o644)
            os.write(self._files[name], b"".join(value + b"\n" for value in values))


def _shown(records: Sequence[Any]) -> dict[str, list[bytes]]:
    """Messages put into inboxes, from what the role keeps of them: `i`, user, NUL, place in the inbox;
    and a row without a place that counts them."""
    shards: defaultdict[str, list[bytes]] = defaultdict(list)
    for record in records:
        user, _, place = record.key[1:].partition(b"\0")
        if record.key[:1] == b"i" and place and record.value is not None:
            _, message = _decode_kept(record.value)
            content = hash_of_places([message.title, message.text])
            shown = Shown(user.decode(), str(uuid.UUID(bytes=message.delivery_id)), content)
            shards[ledgers.inbox_of(ledgers.shard_of(shown.user_id))].append(
                msgspec.json.encode(shown)
            )
    return shards
