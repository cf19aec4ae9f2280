"""The desk between wire and ledger: each request is judged, faulted, written down, answered.

Without a fault all of it happens in one call from the event loop, without a task.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from sandbox.clock import Clock
from sandbox.faults import Fault, Faults
from sandbox.feed import Feed
from sandbox.http import Connection, Reply, Request
from sandbox.ledger import LedgerWriter, Line
from sandbox.providers.base import Accepted, Provider

log = logging.getLogger(__name__)


class Desk:
    """Serves the providers of one port."""

    def __init__(
        self,
        providers: Sequence[Provider],
        *,
        ledger: LedgerWriter,
        faults: Faults,
        feed: Feed,
        clock: Clock,
    ) -> None:
        self._providers = providers
        self._ledger = ledger
        self._faults = faults
        self._feed = feed
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, request: Request, connection: Connection) -> None:
        """Answer one request, now or later; what raises here is a bug and answered as a 500."""
        try:
            self._handle(request, connection)
        except Exception:
            log.exception("request failed", extra={"action": "handle", "path": request.path})
            connection.send(Reply(500))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _handle(self, request: Request, connection: Connection) -> None:
        provider = next((p for p in self._providers if p.serves(request.path)), None)
        if provider is None:
            connection.send(Reply(404))
            return
        now = self._clock()
        stats = self._feed.stats(provider.name)
        stats.requests += 1
        verdict = provider.judge(request, now)
        if isinstance(verdict, Reply):
            stats.refused[str(verdict.status)] += 1
            connection.send(verdict)
            return
        fault = self._faults.choose(provider.name, verdict.addresses, verdict.magic, now)
        reply = verdict.reply
        if fault is not None and fault.effect == "answer":
            answer = provider.error(fault.code, fault.retry_after_seconds)
            if answer is None:  # a word that only looks like a code: an ordinary address
                fault = None
            else:
                reply = answer
        if fault is None:
            sequence = self._accept(provider, verdict, reply, now, is_answered=True)
            if not connection.send(reply):
                self._unanswered(provider, sequence)
            return
        stats.faults[fault.effect] += 1
        self._do_fault(provider, verdict, reply, fault, connection, now)

    def _do_fault(
        self,
        provider: Provider,
        accepted: Accepted,
        reply: Reply,
        fault: Fault,
        connection: Connection,
        now: float,
    ) -> None:
        is_withheld = fault.effect in ("drop", "hang", "refuse")
        sequence = 0
        if fault.is_accepted:
            sequence = self._accept(provider, accepted, reply, now, is_answered=not is_withheld)
            if is_withheld:
                self._unanswered(provider, sequence)
        elif not is_withheld:
            self._feed.stats(provider.name).refused[str(reply.status)] += 1
        if fault.effect == "slow":
            self._start(self._dribble(provider, sequence, reply, fault, connection))
        elif fault.effect == "hang":
            pass  # the connection waits until its client gives up
        elif fault.delay_seconds > 0:
            self._start(self._end_later(provider, sequence, reply, fault, connection))
        else:
            self._end(provider, sequence, reply, fault, connection)

    def _end(
        self,
        provider: Provider,
        sequence: int,
        reply: Reply,
        fault: Fault,
        connection: Connection,
    ) -> None:
        if fault.effect in ("drop", "refuse"):
            connection.abort()
        elif not connection.send(reply):
            self._unanswered(provider, sequence)

    async def _end_later(
        self,
        provider: Provider,
        sequence: int,
        reply: Reply,
        fault: Fault,
        connection: Connection,
    ) -> None:
        await _pause(fault.delay_seconds, connection)
        self._end(provider, sequence, reply, fault, connection)

    async def _dribble(
        self,
        provider: Provider,
        sequence: int,
        reply: Reply,
        fault: Fault,
        connection: Connection,
    ) -> None:
        for byte in reply.encode():
            if not connection.write(bytes((byte,))):
                self._unanswered(provider, sequence)
                return
            await _pause(fault.delay_seconds or 0.05, connection)
        connection.finish()

    def _accept(
        self,
        provider: Provider,
        accepted: Accepted,
        reply: Reply,
        now: float,
        *,
        is_answered: bool,
    ) -> int:
        """Write the request into the ledger; 0 when it holds no message."""
        if not accepted.addresses:
            return 0
        sequence = self._ledger.next_sequence()
        self._ledger.append(
            Line(
                sequence, int(now * 1000), provider.name, reply.status, accepted.message_id,
                accepted.round, accepted.attempt, accepted.delivery_ids,
                accepted.notification_ids, accepted.addresses, accepted.body_hashes,
            )
        )  # fmt: skip
        self._feed.add(provider.name, accepted, now, is_answered=is_answered)
        return sequence

    def _unanswered(self, provider: Provider, sequence: int) -> None:
        if sequence:
            self._ledger.unanswered(sequence)
            self._feed.stats(provider.name).unanswered += 1

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _pause(seconds: float, connection: Connection) -> None:
    """Wait, but no longer than the client does."""
    await asyncio.wait([connection.closed], timeout=seconds)
