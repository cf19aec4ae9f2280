"""Postrider itself: the roles decide and e-mail, two processes that share the worker's core."""

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.peers.peer import Peer
from benchmarks.peers.site import Site
from benchmarks.whole import broadcasting
from benchmarks.whole.lab import PARTITIONS, Lab, opened
from benchmarks.whole.people import recipient
from benchmarks.whole.state import Prepared
from benchmarks.whole.worker import Worker
from schemas import topics
from streams.demo.lag import Lag

_ROLES = ("decide", "email")
_POLL_MS = 1000


class _Told(msgspec.Struct):
    """Of a receipt, what is looked at."""

    user_id: str
    status: str


_decode = msgspec.json.Decoder(_Told).decode


class _Postrider(Site):
    def __init__(self, lab: Lab, lag: Lag) -> None:
        super().__init__(lab.folder, lab.sandbox)
        self.broker_pid = lab.kafka.pid or 0
        self._lab = lab
        self._lag = lag
        self._workers: list[Worker] = []

    @property
    def pids(self) -> Sequence[int]:
        return [each.pid for each in self._workers]

    def start(self) -> None:
        self._workers = [self._lab.start(role) for role in _ROLES]

    async def ready(self) -> None:
        for each in self._workers:
            await each.ready()

    def kill(self) -> None:
        for each in self._workers:
            each.kill()

    async def request(self, broadcast: str) -> float:
        async with self._lab.producing() as producing:
            began = time.monotonic()
            await broadcasting.ask(producing)
        return began

    async def told(self) -> int:
        """Its sender's: those of decide say that a delivery is queued."""
        return await self._workers[-1].told()

    async def is_idle(self) -> bool:
        return not await self._lag.waiting()

    async def doubts(self) -> set[str]:
        return {
            _address(told.user_id) async for told in self._receipts() if told.status == "in_doubt"
        }

    async def _receipts(self) -> AsyncIterator[_Told]:
        consumer = AIOKafkaConsumer(
            **self._lab.config.kafka.connection(), isolation_level="read_committed"
        )
        name = self._lab.config.kafka.names.physical(topics.RECEIPTS)
        places = [TopicPartition(name, each) for each in range(PARTITIONS)]
        async with consumer:
            consumer.assign(places)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                    for each in records:
                        yield _decode(each.value)


def _address(user_id: str) -> str:
    return recipient(int(user_id.rpartition("-")[2])).email


@contextlib.asynccontextmanager
async def _opened(folder: Path, people: int) -> AsyncIterator[Site]:
    """People are imported once, and kept beside the folder."""
    installation = await Prepared(folder.parent).fresh("known", people)
    async with opened(installation) as lab:
        lag = Lag(connection=lab.config.kafka.connection(), names=lab.config.kafka.names)
        await lag.start()
        try:
            yield _Postrider(lab, lag)
        finally:
            await lag.close()


PEER = Peer(name="postrider", title="Postrider, decide and e-mail", lacks="", opened=_opened)
