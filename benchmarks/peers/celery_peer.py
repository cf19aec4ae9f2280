"""Celery on Redis, with a task a recipient and with tasks of a thousand: what most teams would take."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.peers import redis_server
from benchmarks.peers.peer import Peer
from benchmarks.peers.people import SLICE, rows
from benchmarks.peers.redis_server import Redis
from benchmarks.peers.site import CHECKOUT, OwnWorker, Site, name_of
from benchmarks.peers.workers import celery_requests
from sandbox.process import SandboxProcess

_PYTHON = CHECKOUT / ".venv" / "peers" / "bin" / "python"
_MOST_SINGLES = 5_000
"""A few hundred a second: a quarter of a minute."""
_APP = "benchmarks.peers.workers.celery_tasks"
_AHEAD = {1: 100, SLICE: 4}
"""Tasks that are fetched ahead, by the recipients of one: many short ones, few long ones."""


@dataclass(frozen=True, slots=True)
class _Pool:
    """What runs tasks in a worker, and so many of them at a time."""

    name: str
    concurrency: int


_THREADS = _Pool("threads", 4)
"""What Celery's manual advises for tasks that wait for others, as these do: a provider, Redis."""
_OTHERS = (_Pool("solo", 1), _Pool("prefork", 2))
"""One task at a time, which idles while the provider answers; and processes, its default."""


class _Celery(OwnWorker):
    def __init__(
        self,
        folder: Path,
        sandbox: SandboxProcess,
        redis: Redis,
        recipients_a_task: int,
        pool: _Pool,
    ) -> None:
        super().__init__(folder, sandbox)
        self.broker_pid = redis.pid
        self._redis = redis
        self._recipients_a_task = recipients_a_task
        self._pool = pool

    @property
    def broker(self) -> str:
        return self._redis.url

    @property
    def command(self) -> Sequence[str]:
        return [
            str(_PYTHON), "-m", "celery", "-A", _APP, "worker",
            "--pool", self._pool.name, "--concurrency", str(self._pool.concurrency),
            "--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat",
        ]  # fmt: skip

    @property
    def env(self) -> Mapping[str, str]:
        return {
            **super().env,
            "PEER_RECIPIENTS_A_TASK": str(self._recipients_a_task),
            "PEER_PREFETCH": str(_AHEAD[self._recipients_a_task] // self._pool.concurrency),
            "PEER_CONNECTIONS": str(self._pool.concurrency),
        }

    async def request(self, number: int) -> float:
        """By a client of its own, which says when it asked."""
        process = await asyncio.create_subprocess_exec(
            _PYTHON, "-m", celery_requests.__name__, name_of(number),
            env=self.env, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError("the broadcast could not be asked for")
        return float(said)

    async def fill(self, people: int) -> None:
        await self._redis.commands(
            ("SET", f"recipient:{user_id}", row) for user_id, row in rows(people)
        )
        await self._redis.commands(
            ("ZADD", "audience", "0", user_id) for user_id, _ in rows(people)
        )

    async def told(self) -> int:
        return int(await self._redis.command("LLEN", "receipts") or 0)

    async def is_idle(self) -> bool:
        waiting = [
            await self._redis.command(*each) for each in (("LLEN", "celery"), ("HLEN", "unacked"))
        ]
        return not any(waiting)


@contextlib.asynccontextmanager
async def _opened(
    recipients_a_task: int, pool: _Pool, folder: Path, people: int
) -> AsyncIterator[Site]:
    async with (
        Redis(folder / "redis") as redis,
        SandboxProcess(folder / "sandbox") as sandbox,
    ):
        site = _Celery(folder, sandbox, redis, recipients_a_task, pool)
        await site.fill(people)
        yield site


def _missing() -> str:
    if not _PYTHON.exists():
        return "needs the environment that `make bench-peers` makes"
    return redis_server.missing()


_LACKS = (
    "a message that a killed worker had taken from the list, and not yet noted as unacknowledged, is "
    "gone (celery/celery#7950), and with a task of the fan-out everybody after it; Redis may forget "
    "its last second when its machine dies, and holds all in memory; no order and no partition: two "
    "tasks of one recipient may run at a time, past the cap; no fencing; no transaction: what was sent "
    "and not remembered is sent again, once the visibility timeout is over, and nobody is told which; "
    "nothing held until quiet hours end, no retry but that timeout"
)


def _peers(name: str, title: str, lacks: str, size: int, *, most_people: int) -> Sequence[Peer]:
    """The pool that the manual advises, and the others for their rates."""

    def peer(pool: _Pool) -> Peer:
        is_advised = pool is _THREADS
        return Peer(
            name=name if is_advised else f"{name}-{pool.name}",
            title=f"{title}, {pool.name} {pool.concurrency}",
            lacks=lacks if is_advised else "",
            opened=partial(_opened, size, pool),
            missing=_missing,
            most_repeats=sys.maxsize if is_advised else 1,
            most_rounds=1 if is_advised else 0,  # each kill waits for a visibility timeout
            most_people=most_people,
        )

    return [peer(pool) for pool in (_THREADS, *_OTHERS)]


SINGLES = _peers(
    "celery", "Celery + Redis, a task a recipient", _LACKS, 1, most_people=_MOST_SINGLES
)
BATCHES = _peers(
    "celery-1000", "Celery + Redis, tasks of 1000", "the same", SLICE, most_people=sys.maxsize
)
