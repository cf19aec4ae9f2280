"""`Traffic`: a speaker who writes what it says into a world that runs."""

import asyncio
from collections.abc import Iterable
from typing import Any

from tests.simulation.loop import pause
from tests.simulation.real import RealWorld
from tests.simulation.speaking import USERS, Line, Speaker, introductions


class Traffic:
    """For stories that a test tells step by step."""

    def __init__(self, world: RealWorld) -> None:
        self._world = world
        self.speaker = Speaker(randomness=world.random, now_ms=world.loop.now_ms)

    async def run(self, steps: int) -> None:
        """Make everybody known, then `steps` things at random moments, then leave nothing paused."""
        await self.introduce()
        await self._world.rest()
        running = []
        for _ in range(steps):
            running.append(asyncio.ensure_future(self.say(self.speaker.something())))
            await pause(self._world.random.expovariate(1 / 0.2))
        await asyncio.gather(*running)

    async def introduce(self) -> None:
        for record in introductions(USERS, self._world.loop.now_ms()):
            await self._world.produce(record)

    async def say(self, lines: Iterable[Line]) -> None:
        for line in lines:
            if line.after_seconds:
                await pause(line.after_seconds)
            await self._world.produce(line.record)

    async def request(self, request: dict[str, Any], *, topic: str = "") -> None:
        await self.say(self.speaker.request(request, topic=topic))

    def numbered(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.speaker.numbered(request)

    async def change(self, user: str, change: str, **said: Any) -> None:
        await self.say(self.speaker.change(user, change, **said))

    async def wish(self, user: str, channel: str, **said: Any) -> None:
        await self.say(self.speaker.wish(user, channel, **said))

    async def register(
        self, user: str, device_id: str, token: str, *, at_ms: int | None = None
    ) -> None:
        await self.say(self.speaker.register(user, device_id, token, at_ms=at_ms))

    async def control(self, action: str, scope: str, name: str) -> None:
        await self.say(self.speaker.control(action, scope, name))
