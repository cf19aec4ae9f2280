"""From a sender's id, which deliveries carry, to the number that a provider knows."""

from collections.abc import Mapping, Sequence

import msgspec

from channels.base import Outgoing, Sender
from schemas.delivery import Channel
from schemas.outcome import Outcome


class Numbered:
    """An SMS sender for deliveries that name their sender by its id in `faust.yaml`.

    The id, not the number, is what deliveries are keyed and paced by: a number may be replaced.
    """

    def __init__(self, sender: Sender, *, numbers: Mapping[str, str]) -> None:
        self._sender = sender
        self._numbers = numbers

    @property
    def provider(self) -> str:
        return self._sender.provider

    @property
    def channel(self) -> Channel:
        return self._sender.channel

    @property
    def max_batch(self) -> int:
        return self._sender.max_batch

    @property
    def timeout_seconds(self) -> float:
        return self._sender.timeout_seconds

    async def start(self) -> None:
        await self._sender.start()

    async def close(self) -> None:
        await self._sender.close()

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """An id that is not configured any more is taken for a number: the provider will say."""
        return await self._sender.send(
            [
                msgspec.structs.replace(each, sender=self._numbers.get(each.sender, each.sender))
                for each in batch
            ]
        )
