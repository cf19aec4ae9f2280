"""A provider that obeys."""

from collections import defaultdict, deque
from collections.abc import Sequence

from channels.base import Outgoing
from schemas.delivery import Channel
from schemas.outcome import Accepted, Outcome


class ObedientSender:
    """Answers as told for each address, `Accepted` when told nothing, and remembers every call."""

    def __init__(self, channel: Channel = "email", *, max_batch: int = 1) -> None:
        self.channel: Channel = channel
        self.max_batch = max_batch
        self.provider = "carrier"
        self.timeout_seconds = 10.0
        self.answers: defaultdict[str, deque[Outcome]] = defaultdict(deque)
        self.calls: list[list[Outgoing]] = []

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    def tell(self, address: str, *outcomes: Outcome) -> None:
        self.answers[address].extend(outcomes)

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        self.calls.append(list(batch))
        return [self._answer(each) for each in batch]

    def addresses(self) -> list[str]:
        """Whom it was called for, in order, as often as it was."""
        return [each.address for call in self.calls for each in call]

    def _answer(self, outgoing: Outgoing) -> Outcome:
        answers = self.answers[outgoing.address]
        return answers.popleft() if answers else Accepted(provider_message_id="m1")
