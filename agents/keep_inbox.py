"""Reads deliveries.in_app and what has come due again; writes receipts; remembers inboxes.

The stored message is the acceptance: no provider is asked, so nothing can be in doubt, and the
ledger only keeps a dead letter that is replayed twice from being shown twice. What stops a
delivery must be known all the same: its batches start only while calls might (`needs_permit`).
"""

from collections.abc import AsyncIterator

from agents.settlement import Settlement, Terms
from agents.stage import Batch, Effects, Item
from agents.work import Work, take_up
from channels.base import InAppContent
from channels.rendering import Rendering
from policies.clock import Clock
from schemas.delivery import DeliveryBatch
from schemas.outcome import Accepted
from tables import inbox
from tables.inbox import Message
from tables.state import Row, State

PROVIDER = "inbox"
_KEPT = Accepted()

Arrivals = dict[str, list[Message]]


class KeepInbox:
    """Puts deliveries into the inboxes of their users."""

    name = "keep_inbox"

    def __init__(self, *, rendering: Rendering, terms: Terms, clock: Clock) -> None:
        self._rendering = rendering
        self._terms = terms
        self._clock = clock

    async def handle(self, batch: Batch[DeliveryBatch]) -> AsyncIterator[Effects]:
        for item in batch.items:
            # Not the batch's: what was committed in between took time, in which quiet hours may begin.
            now_ms = self._clock.now_ms()
            (work,), _ = take_up([item], batch.state, set())
            settlement = Settlement(self._terms, batch.state, now_ms)
            if not work.unsettled:
                settlement.finish(work)
            arrivals = self._keep(work, settlement, now_ms)
            settlement.add_rows(_rows(batch.state, arrivals))
            yield settlement.effects()

    def give_up(
        self, batch: Batch[DeliveryBatch], item: Item[DeliveryBatch], cause: str
    ) -> Effects:
        """Settle what handling raised for."""
        (work,), _ = take_up([item], batch.state, set())
        return Settlement(self._terms, batch.state, batch.now_ms).abandon(work)

    def _keep(self, work: Work, settlement: Settlement, now_ms: int) -> Arrivals:
        ready = settlement.passing(work, PROVIDER)
        batch, arrivals = work.batch, Arrivals()
        targets = [batch.targets[member] for member in ready]
        contents = self._rendering.render(batch, targets)
        for member, target, content in zip(ready, targets, contents, strict=True):
            if not isinstance(content, InAppContent):
                settlement.unrenderable(work, member)
                continue
            body = batch.body_of(target)
            message = Message(
                target.notification_id, target.delivery_id, body.type,
                content.title, content.body, content.data, now_ms, body.expires_ms,
            )  # fmt: skip
            arrivals.setdefault(target.user_id, []).append(message)
            settlement.outcome(work, member, _KEPT, PROVIDER)
        return arrivals


def _rows(state: State, arrivals: Arrivals) -> list[Row]:
    users = list(arrivals)
    counts = inbox.counts(state, users)
    return [
        row
        for user_id, count in zip(users, counts, strict=True)
        for row in inbox.add(user_id, count, arrivals[user_id])
    ]
