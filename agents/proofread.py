"""Reads notifications.cancelled and controls, writes nothing but what cannot be read as dead letters.

Whoever decides or sends hears both by a tail, without a stage, and a tail writes nothing: without
this stage nobody would learn that a cancellation was never understood.
"""

from collections.abc import AsyncIterator

from agents.stage import Batch, Effects, Item
from schemas.notification import Cancellation, Control

Word = Cancellation | Control


class Proofread:
    """What was decoded says something; the runner has made dead letters of the rest."""

    name = "proofread"

    async def handle(self, batch: Batch[Word]) -> AsyncIterator[Effects]:
        yield Effects(done=batch.items)

    def give_up(self, batch: Batch[Word], item: Item[Word], cause: str) -> Effects:
        return Effects()
