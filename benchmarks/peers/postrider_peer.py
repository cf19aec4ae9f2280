"""Postrider itself: the roles decide and e-mail, two processes that share the worker's core."""

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.peers.contents import of_postrider
from benchmarks.peers.peer import Peer
from benchmarks.peers.site import Site, name_of
from benchmarks.whole import broadcasting
from benchmarks.whole.lab import Lab, opened
from benchmarks.whole.state import Prepared
from benchmarks.whole.worker import Worker
from policies.rules import InDoubt
from proof.collector import Collector
from streams.demo.lag import Lag

_ROLES = ("decide", "email")


class _Postrider(Site):
    roles = _ROLES
    has_receipts = True
    contents = of_postrider()

    def __init__(self, lab: Lab, lag: Lag, in_doubt: InDoubt) -> None:
        super().__init__(lab.folder, lab.sandbox)
        self.in_doubt = in_doubt
        self.broker_pid = lab.kafka.pid or 0
        self._lab = lab
        self._lag = lag
        self._collector: Collector | None = None
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

    async def request(self, number: int) -> float:
        async with self._lab.producing() as producing:
            began = time.monotonic()
            await broadcasting.ask(
                producing, idempotency_key=name_of(number), metadata={"intent": number}
            )
        return began

    async def told(self) -> int:
        """Its sender's: those of decide say that a delivery is queued."""
        return await self._workers[-1].told()

    async def is_idle(self) -> bool:
        """What is sent again waits in no topic, but in a row; its receipts have no end until then."""
        if await self._lag.waiting():
            return False
        collector = await self._collecting()
        return await collector.has_read_all() and not collector.open_deliveries

    async def _collecting(self) -> Collector:
        """From when somebody asks: what was metered by then, or struck, was alone on its cores."""
        if self._collector is None:
            kafka = self._lab.config.kafka
            self._collector = Collector(kafka.connection(), names=kafka.names, folder=self.evidence)
            await self._collector.start()
        return self._collector

    async def close(self) -> None:
        if self._collector is not None:
            await self._collector.stop()


@contextlib.asynccontextmanager
async def _opened(in_doubt: InDoubt, folder: Path, people: int) -> AsyncIterator[Site]:
    """People are imported once, and kept beside the folder."""
    installation = await Prepared(folder.parent).fresh("known", people)
    async with opened(installation, env={"BENCH_IN_DOUBT": in_doubt}) as lab:
        lag = Lag(connection=lab.config.kafka.connection(), names=lab.config.kafka.names)
        await lag.start()
        site = _Postrider(lab, lag, in_doubt)
        try:
            yield site
        finally:
            await site.close()
            await lag.close()


HOLD = Peer(
    name="postrider",
    title="Postrider, decide and e-mail; `in_doubt: hold`",
    lacks="",
    opened=partial(_opened, "hold"),
)
RESEND = Peer(
    name="postrider-resend",
    title="Postrider; `in_doubt: resend`, as all others do",
    lacks="",
    opened=partial(_opened, "resend"),
    most_repeats=0,
)
