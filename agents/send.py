"""Reads deliveries.<channel> and what has come due again; calls the provider.

Writes receipts, deliveries.returned, recipients.derived, addresses.changed and dead letters;
remembers attempts, its schedule and what is parked.
"""

from collections import deque
from collections.abc import AsyncIterator, Sequence

from agents.pace import Line, Pace
from agents.requests import Composer, SendCall
from agents.settlement import Settlement, Terms
from agents.stage import Batch, Effects, Item
from agents.work import Claim, Work, in_groups, take_up
from channels.base import Sender
from channels.rendering import Rendering
from policies.clock import Clock, elapsed_ms
from schemas.delivery import DeliveryBatch
from schemas.outcome import NotProcessed, Outcome

WINDOW_CALLS = 64
"""Intents are written for this many calls at a time: what a crash can leave in doubt."""

GROUP_MEMBERS = 2000
"""Worked on together: all of them settled at once, with a receipt each, still fit one yield."""

CHECK_HOLDS_MS = 1000
"""A call that had to wait for longer asks again whether it is a time of day for it."""

_NOT_CALLED = NotProcessed()

Lot = tuple[Work, list[int]]
Finished = Sequence[tuple[SendCall, Sequence[Outcome]]]


class Send:
    """Hands deliveries of one channel to its provider, each once, whatever crashes.

    What it may call about, it first intends in the ledger; what came of it, it records with all
    that follows. `pace` gives tokens before the intent, so waiting leaves nothing in doubt.
    """

    name = "send"

    def __init__(
        self,
        *,
        sender: Sender,
        rendering: Rendering,
        pace: Pace,
        terms: Terms,
        clock: Clock,
    ) -> None:
        self._sender = sender
        self._composer = Composer(rendering, most=sender.max_batch)
        self._pace = pace
        self._terms = terms
        self._clock = clock
        self._claimed: set[Claim] = set()
        """Units that some batch is working on."""

    async def handle(self, batch: Batch[DeliveryBatch]) -> AsyncIterator[Effects]:
        works, ours = take_up(batch.items, batch.state, self._claimed)
        self._claimed |= ours
        window: list[SendCall] = []
        try:
            for group in in_groups(works, GROUP_MEMBERS):
                async with batch.exposing(self._most_at_once(group)):
                    await batch.permit()
                    settlement = Settlement(self._terms, batch.state, self._clock.now_ms())
                    lots = deque(self._sort(group, settlement))
                    while True:
                        window = self._admit(batch.partition, lots, settlement)
                        if settlement:
                            yield settlement.effects()
                        if not window:
                            break
                        left = len(window)
                        async for finished in batch.calls(window, self._make):
                            left -= len(finished)
                            is_last = not left and not lots and group[-1] is works[-1]
                            yield self._conclude(batch, finished, is_last=is_last)
                        if lots:
                            await batch.permit()
                        settlement = Settlement(self._terms, batch.state, self._clock.now_ms())
        finally:
            self._claimed -= ours
            self._return_tokens(window)

    def give_up(
        self, batch: Batch[DeliveryBatch], item: Item[DeliveryBatch], cause: str
    ) -> Effects:
        """Settle what handling raised for: in doubt where a call may have been made, else failed."""
        (work,), _ = take_up([item], batch.state, set())
        return Settlement(self._terms, batch.state, batch.now_ms).abandon(work)

    def _most_at_once(self, works: list[Work]) -> int:
        """Members of these that one window may intend."""
        return min(sum(work.unsettled for work in works), WINDOW_CALLS * self._sender.max_batch)

    def _sort(self, works: list[Work], settlement: Settlement) -> list[Lot]:
        """Settle what needs no call; what is left goes out in this order."""
        lots: list[Lot] = []
        for work in works:
            if not work.unsettled:
                settlement.finish(work)
            for member in work.doubtful:
                settlement.lost(work, member, self._sender.provider)
            ready = settlement.passing(work, self._sender.provider)
            if ready:
                lots.append((work, ready))
        return lots

    def _admit(self, partition: int, lots: deque[Lot], settlement: Settlement) -> list[SendCall]:
        """The next window of calls that have tokens, as intents; what has none waits in line."""
        window: list[SendCall] = []
        at_ms = elapsed_ms(self._clock)
        at_once = max(self._sender.max_batch, WINDOW_CALLS)
        while lots and len(window) < WINDOW_CALLS:
            work, members = lots.popleft()
            if members[at_once:]:
                lots.appendleft((work, members[at_once:]))
            line = self._pace.line(partition, work.batch, at_ms)
            calls, late = self._covered(work, members[:at_once], line, settlement, at_ms)
            if line is not None:
                self._queue(work, late, line, settlement, at_ms)
            for call in calls:
                settlement.intend(work, call.members)
            window += calls
        return window

    def _covered(
        self,
        work: Work,
        members: list[int],
        line: Line | None,
        settlement: Settlement,
        at_ms: int,
    ) -> tuple[list[SendCall], list[int]]:
        """Rendered calls that have tokens, and members for whom there is none."""
        if line is None:
            return self._composer.compose(work, members, line, settlement), []
        size = self._sender.max_batch
        tokens = line.take(work.batch, -(-len(members) // size), at_ms)
        late = members[tokens * size :]
        calls = self._composer.compose(work, members[: tokens * size], line, settlement)
        # Contents that differ by person or locale need a request each.
        tokens += line.take(work.batch, max(0, len(calls) - tokens), at_ms)
        line.unused(max(0, tokens - len(calls)))
        late += [member for call in calls[tokens:] for member in call.members]
        return calls[:tokens], late

    def _queue(
        self, work: Work, members: list[int], line: Line, settlement: Settlement, at_ms: int
    ) -> None:
        size, now_ms = self._sender.max_batch, self._clock.now_ms()
        for start in range(0, len(members), size):
            together = members[start : start + size]
            last_ms = max(work.body_of(member).expires_ms for member in together)
            wait_ms = line.wait_ms(work.batch, at_ms, until_ms=at_ms + last_ms - now_ms)
            due_ms = last_ms if wait_ms is None else now_ms + wait_ms
            for member in together:
                settlement.wait_for_token(work, member, due_ms)

    async def _make(self, call: SendCall) -> Sequence[Outcome]:
        """The request itself, for the members that nothing has stopped since they were admitted."""
        self._check_again(call, self._clock.now_ms())
        if not call.stops:
            return await self._sender.send(call.outgoing)
        going = [message for place, message in enumerate(call.outgoing) if place not in call.stops]
        answers = iter(await self._sender.send(going) if going else ())
        return [_NOT_CALLED if place in call.stops else next(answers) for place in range(call.size)]

    def _check_again(self, call: SendCall, now_ms: int) -> None:
        work, stops = call.work, self._terms.stops
        is_old = now_ms >= work.checked_ms + CHECK_HOLDS_MS
        if is_old or stops.version != work.checked_version or now_ms >= call.expires_ms:
            call.stops = work.stopped(call.members, stops, now_ms, self._sender.provider)

    def _conclude(
        self, batch: Batch[DeliveryBatch], finished: Finished, *, is_last: bool
    ) -> Effects:
        """What follows from answers; nothing waits for that of the last ones of a batch."""
        settlement = Settlement(self._terms, batch.state, self._clock.now_ms())
        provider = self._sender.provider
        for call, outcomes in finished:
            work, stops = call.work, call.stops
            if not stops:
                settlement.outcomes(work, call.members, outcomes, provider)
                continue
            for place, (member, outcome) in enumerate(zip(call.members, outcomes, strict=True)):
                if place in stops:
                    settlement.stop(work, member, stops[place])
                else:
                    settlement.outcome(work, member, outcome, provider)
        self._return_tokens([call for call, _ in finished])
        return settlement.effects(can_wait=is_last)

    def _return_tokens(self, calls: Sequence[SendCall]) -> None:
        """Of calls that have ended, and of those whose batch did not wait for their end."""
        at_ms = elapsed_ms(self._clock)
        for call in calls:
            if call.line is not None:
                call.line.spent(1, at_ms)
                call.line = None
