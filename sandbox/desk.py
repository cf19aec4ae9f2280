"""The desk between wire and ledger: each request is judged, faulted, written down, answered.

Without a fault all of it happens in one call from the event loop, without a task.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.clock import Clock
from sandbox.faults import Fault, Faults
from sandbox.feed import Feed
from sandbox.http import Connection, Reply, Request
from sandbox.ledger import LedgerWriter, Line, Refused
from sandbox.providers.base import Accepted, Provider

log = logging.getLogger(__name__)

DRIBBLE_SECONDS = 0.05
"""Between two bytes of a slow reply, unless the fault says otherwise."""


@dataclass(slots=True)
class _Owed:
    """A reply that a fault withholds, delays or spoils."""

    provider: Provider
    reply: Reply
    fault: Fault
    connection: Connection
    sequence: int = 0
    """Its line in the ledger; 0 when there is none."""


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
        except Exception:  # a request that we cannot answer must not end the sandbox
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
            if verdict.status >= 300:  # a vendor's own sandbox mode is no refusal
                self._ledger.refuse(Refused(int(now * 1000), provider.name, verdict.status, 0))
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
        self._do_fault(_Owed(provider, reply, fault, connection), verdict, now)

    def _do_fault(self, owed: _Owed, accepted: Accepted, now: float) -> None:
        fault = owed.fault
        is_withheld = fault.effect in ("drop", "hang", "refuse")
        if fault.is_accepted:
            owed.sequence = self._accept(
                owed.provider, accepted, owed.reply, now, is_answered=not is_withheld
            )
            if is_withheld:
                self._unanswered(owed.provider, owed.sequence)
        else:
            self._refuse(owed, accepted, now, 0 if is_withheld else owed.reply.status)
        if fault.effect == "slow":
            self._start(self._dribble(owed))
        elif fault.effect == "hang":
            pass  # the connection waits until its client gives up
        elif fault.delay_seconds > 0:
            self._start(self._end_later(owed))
        else:
            self._end(owed)

    def _end(self, owed: _Owed) -> None:
        if owed.fault.effect in ("drop", "refuse"):
            owed.connection.abort()
        elif not owed.connection.send(owed.reply):
            self._unanswered(owed.provider, owed.sequence)

    async def _end_later(self, owed: _Owed) -> None:
        await _pause(owed.fault.delay_seconds, owed.connection)
        self._end(owed)

    async def _dribble(self, owed: _Owed) -> None:
        for byte in owed.reply.encode():
            if not owed.connection.write(bytes((byte,))):
                self._unanswered(owed.provider, owed.sequence)
                return
            await _pause(owed.fault.delay_seconds or DRIBBLE_SECONDS, owed.connection)
        owed.connection.finish()

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

    def _refuse(self, owed: _Owed, asked: Accepted, now: float, status: int) -> None:
        """Write down that it was not accepted; `status` 0: nor answered."""
        fault, name = owed.fault, owed.provider.name
        again_ms = 0
        if status:
            self._feed.stats(name).refused[str(status)] += 1
            if fault.retry_after_seconds is not None:
                again_ms = int((now + fault.delay_seconds + fault.retry_after_seconds) * 1000)
        self._ledger.refuse(
            Refused(
                int(now * 1000), name, status, again_ms, asked.round, asked.attempt,
                asked.delivery_ids, asked.addresses,
            )
        )  # fmt: skip

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
