"""How many recipients may be in doubt at a time, and who waits for whom."""

import asyncio
from collections.abc import Iterator

import pytest

from streams.engine.exposure import Exposure

BULK, CRITICAL = 2, 0


class Somebody:
    """Exposes recipients until told to stop."""

    def __init__(self, exposure: Exposure, recipients: int, urgency: int = BULK) -> None:
        self.is_exposing = False
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._expose(exposure, recipients, urgency))

    async def _expose(self, exposure: Exposure, recipients: int, urgency: int) -> None:
        async with exposure.of(recipients, urgency):
            self.is_exposing = True
            await self._over.wait()
        self.is_exposing = False

    async def end(self) -> None:
        self._over.set()
        await self._task

    async def cancel(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def who(*some: Somebody) -> Iterator[bool]:
    return (each.is_exposing for each in some)


async def test_as_many_as_the_bound_allows_and_the_next_in_turn() -> None:
    exposure = Exposure(3000)
    first, second, third, small = (Somebody(exposure, size) for size in (2000, 1000, 2000, 10))
    await settle()
    assert list(who(first, second, third, small)) == [True, True, False, False], "nobody overtakes"

    await second.end()
    await settle()
    assert not third.is_exposing

    await first.end()
    await settle()
    assert list(who(third, small)) == [True, True]


async def test_more_than_the_bound_goes_alone() -> None:
    exposure = Exposure(1000)
    large, next_one = Somebody(exposure, 5000), Somebody(exposure, 1)
    await settle()
    assert list(who(large, next_one)) == [True, False]

    await large.end()
    await settle()
    assert next_one.is_exposing


async def test_a_campaign_keeps_no_login_code_waiting() -> None:
    exposure = Exposure(1000)
    campaign, code = Somebody(exposure, 1000), Somebody(exposure, 1, CRITICAL)

    await settle()

    assert list(who(campaign, code)) == [True, True]


@pytest.mark.parametrize("when", ["waiting", "its turn"])
async def test_who_is_cancelled_leaves_no_place_behind(when: str) -> None:
    exposure = Exposure(1000)
    first, cancelled, last = (Somebody(exposure, 1000) for _ in range(3))
    await settle()
    if when == "its turn":
        first._over.set()
        while first.is_exposing:  # noqa: ASYNC110  # exactly until it has left
            await asyncio.sleep(0)

    await cancelled.cancel()
    await first.end()
    await settle()

    assert last.is_exposing


async def test_a_drain_lets_everybody_through_since_nothing_is_intended_any_more() -> None:
    exposure = Exposure(1000)
    first, second = Somebody(exposure, 1000), Somebody(exposure, 1000)
    await settle()

    exposure.drain()
    await settle()
    assert list(who(first, second)) == [True, True]
    await first.end()
    await second.end()

    exposure.reopen()
    third, fourth = Somebody(exposure, 1000), Somebody(exposure, 1000)
    await settle()
    assert list(who(third, fourth)) == [True, False]
