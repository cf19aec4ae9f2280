"""`Said`: a `Tell` that remembers what somebody who waits for Kafka told it."""

import asyncio


class Said:
    def __init__(self) -> None:
        self.whys: list[str | None] = []
        self._unheard: asyncio.Queue[str | None] = asyncio.Queue()

    def __call__(self, seconds: float, why: str | None) -> None:
        self.whys.append(why)
        self._unheard.put_nowait(why)

    async def next(self, *, within_seconds: float = 30) -> str | None:
        """What the test has not heard yet, one after the other."""
        return await asyncio.wait_for(self._unheard.get(), within_seconds)
