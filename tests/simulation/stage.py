"""A stage for corner cases of the real topology that chance would take long to find."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from schemas import topics
from tests.simulation.checker import complaints
from tests.simulation.evidence import Evidence, gather
from tests.simulation.outside import PROMPT_MS
from tests.simulation.process import Process
from tests.simulation.real import RealWorld
from tests.simulation.traffic import Traffic

Story = Callable[[], Awaitable[None]]
REQUESTED = topics.REQUESTED["normal"]


class Stage:
    """A world in which everything goes well, but for what a test makes happen."""

    def __init__(self, seed: int = 0) -> None:
        self.world = RealWorld(seed=seed)
        moods = self.world.carrier.moods
        moods.throttles = moods.refuses = moods.rejects = 0.0
        moods.loses_request = moods.loses_reply = 0.0
        self.traffic = Traffic(self.world)
        self.traffic.speaker.misplaced_share = 0.0

    def play(
        self, story: Story, *, is_introduced: bool = True, prompt_ms: int = PROMPT_MS
    ) -> Evidence:
        async def told() -> None:
            if is_introduced:
                await self.traffic.introduce()
                await self.world.rest()
            await story()
            await self.world.rest(4000.0, hurries=True)

        self.world.play(told())
        errors, zombie_calls = self.world.notes.errors, self.world.carrier.zombie_calls
        assert errors == [], errors
        assert zombie_calls == 0, f"{zombie_calls} calls by who had lost their partitions"
        found = gather(self.world)
        broken = complaints(found, prompt_ms=prompt_ms)
        assert broken == [], broken
        return found

    async def ask(self, user: str, kind: str, *channels: str, topic: str = "", **said: Any) -> None:
        request = {"user_id": user, "type": kind, "data": {"number": "1"}, **said}
        if channels:
            request["channels"] = channels
        await self.traffic.request(request, topic=topic or REQUESTED)

    def owner(self, role: str, partition: int) -> Process:
        """Who has the partition now."""
        return next(
            process
            for process in self.world.processes
            if process.role == role
            and any(each.number == partition for each in process.runner.partitions)
        )

    def restart(self, role: str) -> None:
        for process in self.world.processes:
            if process.role == role:
                process.terminate()

    async def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        until = self.world.loop.time() + seconds
        while not condition():
            assert self.world.loop.time() < until, "it did not come true"
            await asyncio.sleep(0.0005)


def told(found: Evidence, channel: str = "") -> list[tuple[str, str]]:
    """(status, reason) of the deliveries' receipts, as they were written."""
    return [
        (each.status, each.reason)
        for each in sorted(found.receipts, key=lambda each: each.occurred_at)
        if each.kind == "delivery" and channel in ("", each.channel)
    ]
