"""A sender that answers what it is told."""

from collections.abc import Sequence

from channels.base import Outgoing, SmsContent
from policies.clock import ManualClock
from schemas.delivery import Channel
from schemas.outcome import Accepted, Outcome


class TellingSender:
    """Answers every delivery with `answer`, after `seconds` on the clock."""

    channel: Channel = "sms"
    timeout_seconds = 2.0
    max_batch = 10

    def __init__(self, provider: str = "first", *, clock: ManualClock | None = None) -> None:
        self.provider = provider
        self.answer: Outcome = Accepted()
        self.answers: dict[str, Outcome] = {}
        """By address; wins over `answer`."""
        self.seconds = 0.0
        self.calls: list[Sequence[Outgoing]] = []
        self._clock = clock

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        self.calls.append(batch)
        if self._clock is not None:
            self._clock.advance(seconds=self.seconds)
        return [self.answers.get(message.address, self.answer) for message in batch]


def sms(address: str) -> Outgoing:
    return Outgoing(b"d" * 16, b"n" * 16, "u1", address, SmsContent("hello"), 0)
