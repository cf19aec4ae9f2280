"""A plain aiokafka loop: reads broadcasts (a record a slice of members), writes receipts.

Remembers recipients, who got which broadcast and the day's counts in RocksDB. Offsets are committed
once all that a turn took is done: at least once.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBatch

from benchmarks.peers.workers import work
from benchmarks.peers.workers.work import Recipient, Settings

TURN = 8
"""Slices that are sent at a time: the provider's answers to some are awaited while others are built."""


class Slice(msgspec.Struct):
    broadcast: str
    user_ids: list[str]


_decode_slice = msgspec.json.Decoder(Slice).decode


class Loop:
    def __init__(
        self, settings: Settings, db: Rdict, producer: AIOKafkaProducer, http: aiohttp.ClientSession
    ) -> None:
        self._settings = settings
        self._db = db
        self._producer = producer
        self._http = http

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            found = await consumer.getmany(timeout_ms=200, max_records=TURN)
            if consumer.assignment():
                self._settings.is_ready()
            slices = [
                (place.partition, _decode_slice(each.value))
                for place, records in found.items()
                for each in records
            ]
            if slices:
                await asyncio.gather(*(self._send(*each) for each in slices))
                await consumer.commit()

    async def _send(self, partition: int, what: Slice) -> None:
        receipts, wanted = self._decide(what)
        for language, recipients in work.by_language(wanted).items():
            body = work.mail(what.broadcast, language, recipients)
            async with self._http.post(self._settings.url, data=body) as answer:
                answer.raise_for_status()
            self._remember(what.broadcast, recipients)
        receipts += [work.receipt(what.broadcast, each.user_id, "") for each in wanted]
        await self._write(partition, receipts)

    def _decide(self, what: Slice) -> tuple[list[bytes], list[Recipient]]:
        """Receipts of those who get nothing now, and those who do."""
        done = self._rows([_done_key(what.broadcast, each) for each in what.user_ids])
        rows = self._rows([_row_key(each) for each in what.user_ids])
        people = [work.decode_recipient(each) for each in rows]
        todays = [work.local_now(each.timezone) for each in people]
        counts = self._rows(
            [_count_key(each, now.day) for each, now in zip(what.user_ids, todays, strict=True)]
        )
        receipts, wanted = [], []
        for person, mark, now, count in zip(people, done, todays, counts, strict=True):
            if mark is not None:  # sent before a crash, which may have lost its receipt
                receipts.append(work.receipt(what.broadcast, person.user_id, ""))
            elif reason := work.refusal(person, now, int(count or 0)):
                receipts.append(work.receipt(what.broadcast, person.user_id, reason))
            else:
                wanted.append(person)
        return receipts, wanted

    def _remember(self, broadcast: str, recipients: Sequence[Recipient]) -> None:
        keys = [_count_key(each.user_id, work.local_now(each.timezone).day) for each in recipients]
        batch = WriteBatch(raw_mode=True)
        for each, key, count in zip(recipients, keys, self._rows(keys), strict=True):
            batch.put(key, b"%d" % (int(count or 0) + 1))
            batch.put(_done_key(broadcast, each.user_id), b"")
        self._db.write(batch)

    def _rows(self, keys: list[Any]) -> list[Any]:
        """One call for all; None where there is none."""
        return self._db.get(keys) or []

    async def _write(self, partition: int, receipts: Sequence[bytes]) -> None:
        """By the client's batch builder, a sixth of the cost of `send` for each."""
        waiting = []
        batch = self._producer.create_batch()
        for value in receipts:
            if batch.append(key=None, value=value, timestamp=None) is None:
                waiting.append(
                    await self._producer.send_batch(batch, "receipts", partition=partition)
                )
                batch = self._producer.create_batch()
                batch.append(key=None, value=value, timestamp=None)
        waiting.append(await self._producer.send_batch(batch, "receipts", partition=partition))
        await asyncio.gather(*waiting)


def fill(db: Rdict, user_id: str, row: bytes) -> None:
    db[_row_key(user_id)] = row


def opened(folder: Path) -> Rdict:
    """As RocksDB's tuning guide says: a filter that knows most absent keys, a cache of its own."""
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_block_cache(Cache(256 << 20))
    options = Options(raw_mode=True)
    options.set_block_based_table_factory(table)
    return Rdict(str(folder / "rows"), options=options)


def _row_key(user_id: str) -> bytes:
    return f"recipient/{user_id}".encode()


def _done_key(broadcast: str, user_id: str) -> bytes:
    return f"done/{broadcast}/{user_id}".encode()


def _count_key(user_id: str, day: int) -> bytes:
    return f"count/{day}/{user_id}".encode()


async def main() -> None:
    settings = work.settings()
    consumer = AIOKafkaConsumer(
        "broadcasts", bootstrap_servers=settings.broker, group_id="sender",
        group_instance_id="sender-0",  # static: a restart waits for no session to expire
        enable_auto_commit=False, auto_offset_reset="earliest",
    )  # fmt: skip
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.broker, acks="all", enable_idempotence=True,
        compression_type="zstd", max_batch_size=256 * 1024,
    )  # fmt: skip
    async with consumer, producer, aiohttp.ClientSession(headers=settings.headers) as http:
        await Loop(settings, opened(settings.folder), producer, http).run(consumer)


if __name__ == "__main__":
    uvloop.run(main())
