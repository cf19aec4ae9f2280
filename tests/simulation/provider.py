"""A provider of the simulator: outside every process, remembers what it accepted, loses replies."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence

from schemas.outcome import Accepted, NotProcessed, Outcome, Unknown
from tests.simulation.loop import DOMAIN, Domain, VirtualLoop, pause


class Provider:
    """Takes requests of one or more delivery ids; what it accepted is in `accepted`."""

    def __init__(self) -> None:
        self.accepted: Counter[bytes] = Counter()
        self.accepted_at: dict[bytes, list[float]] = {}
        self.zombie_calls = 0
        """Calls started by a process whose partitions somebody else has."""
        self.timeout_seconds = 10.0
        self.lost_reply_share = 0.02
        self.refusal_share = 0.1

    def live_in(
        self,
        loop: VirtualLoop,
        randomness: random.Random,
        is_zombie: Callable[[Domain | None], bool],
    ) -> None:
        self._loop = loop
        self._random = randomness
        self._is_zombie = is_zombie

    async def request(self, delivery_ids: Sequence[bytes]) -> list[Outcome]:
        """One provider call, as a sender makes it: one outcome a delivery, in order."""
        if self._is_zombie(DOMAIN.get()):
            self.zombie_calls += 1
        reply: asyncio.Future[list[Outcome]] = self._loop.create_future()
        self._loop.start(None, self._serve(list(delivery_ids), reply))
        done, _ = await asyncio.wait([reply], timeout=self.timeout_seconds)
        return reply.result() if done else [Unknown(reason="timeout")] * len(delivery_ids)

    async def _serve(
        self, delivery_ids: list[bytes], reply: "asyncio.Future[list[Outcome]]"
    ) -> None:
        await pause(self._random.uniform(0.01, 0.05))
        outcomes: list[Outcome] = []
        for delivery_id in delivery_ids:
            if self._random.random() < self.refusal_share:
                outcomes.append(NotProcessed(retry_after_seconds=0.5))
            else:
                self.accepted[delivery_id] += 1
                self.accepted_at.setdefault(delivery_id, []).append(self._loop.time())
                outcomes.append(Accepted(provider_message_id="m"))
        await pause(self._random.uniform(0.01, 0.05))
        if not reply.done() and self._random.random() >= self.lost_reply_share:
            reply.set_result(outcomes)
