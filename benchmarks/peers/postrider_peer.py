"""Postrider itself: the roles decide and e-mail, two processes that share the worker's core."""

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.peers.doubts import Doubts, reading
from benchmarks.peers.peer import Peer
from benchmarks.peers.site import Site
from benchmarks.whole import broadcasting
from benchmarks.whole.lab import Lab, opened
from benchmarks.whole.people import recipient
from benchmarks.whole.state import Prepared
from benchmarks.whole.worker import Worker
from policies.rules import InDoubt
from streams.demo.lag import Lag

_ROLES = ("decide", "email")


class _Postrider(Site):
    def __init__(self, lab: Lab, lag: Lag, doubts: Doubts) -> None:
        super().__init__(lab.folder, lab.sandbox)
        self.broker_pid = lab.kafka.pid or 0
        self._lab = lab
        self._lag = lag
        self._doubts = doubts
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
        """What is sent again waits in no topic, but in a row."""
        if await self._lag.waiting():
            return False
        await self._doubts.look()
        return not self._doubts.resending

    async def doubts(self) -> set[str]:
        await self._doubts.look()
        return set(map(_address, self._doubts.left))


def _address(user_id: str) -> str:
    return recipient(int(user_id.rpartition("-")[2])).email


@contextlib.asynccontextmanager
async def _opened(in_doubt: InDoubt, folder: Path, people: int) -> AsyncIterator[Site]:
    """People are imported once, and kept beside the folder."""
    installation = await Prepared(folder.parent).fresh("known", people)
    async with opened(installation, env={"BENCH_IN_DOUBT": in_doubt}) as lab:
        lag = Lag(connection=lab.config.kafka.connection(), names=lab.config.kafka.names)
        await lag.start()
        try:
            async with reading(lab) as doubts:
                yield _Postrider(lab, lag, doubts)
        finally:
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
