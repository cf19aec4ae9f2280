"""The providers of one channel, in order of preference."""

from collections.abc import Sequence

import msgspec

from channels.base import Outgoing, Sender
from schemas.delivery import Channel
from schemas.outcome import Misconfigured, NotProcessed, Outcome


class Failover:
    """Asks the next provider only for what the one before certainly did not take.

    That is while its breaker is open or it is misconfigured; anything else that a provider
    says is the outcome. An outcome of any but the first names its provider.
    """

    def __init__(self, senders: Sequence[Sender]) -> None:
        if not senders:
            raise ValueError("expected at least one provider")
        if len({sender.channel for sender in senders}) != 1:
            raise ValueError("expected providers of one channel")
        self._senders = senders

    @property
    def provider(self) -> str:
        return self._senders[0].provider

    @property
    def channel(self) -> Channel:
        return self._senders[0].channel

    @property
    def max_batch(self) -> int:
        return min(sender.max_batch for sender in self._senders)

    @property
    def timeout_seconds(self) -> float:
        return sum(sender.timeout_seconds for sender in self._senders)

    async def start(self) -> None:
        for sender in self._senders:
            await sender.start()

    async def close(self) -> None:
        for sender in self._senders:
            await sender.close()

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        first, *others = self._senders
        outcomes = list(await first.send(batch))
        for sender in others:
            places = [place for place, outcome in enumerate(outcomes) if _goes_on(outcome)]
            if not places:
                break
            answers = await sender.send([batch[place] for place in places])
            for place, answer in zip(places, answers, strict=True):
                outcomes[place] = msgspec.structs.replace(answer, provider=sender.provider)
        return outcomes


def _goes_on(outcome: Outcome) -> bool:
    match outcome:
        case NotProcessed(reason="breaker_open") | Misconfigured():
            return True
    return False
