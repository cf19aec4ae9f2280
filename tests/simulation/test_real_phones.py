"""Corner cases of the real topology: phones that change hands."""

import asyncio
import itertools

import pytest

from tests.simulation.loop import START_MS
from tests.simulation.stage import Stage, told


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("misplaced_share", [0.0, 1.0])
def test_a_phone_that_goes_there_and_back_again_is_with_its_last_holder(
    order: tuple[int, ...], misplaced_share: float
) -> None:
    stage = Stage(seed=sum(place * each for place, each in enumerate(order)))
    stage.traffic.speaker.misplaced_share = misplaced_share
    anna, bob = "u0", "u3"  # neither has another device

    async def story() -> None:
        registrations = [(user, START_MS + at) for at, user in enumerate((anna, bob, anna))]
        for place in order:
            user, at_ms = registrations[place]
            await stage.traffic.register(user, "phone", "token", at_ms=at_ms)
        await stage.world.rest()
        for user in (anna, bob):
            await stage.ask(user, "offer", "push")

    found = stage.play(story)

    holders = {
        user for user, known in found.profiles.items() if known.devices and user in (anna, bob)
    }
    assert holders == {anna}
    assert [each.message.user_id for each in found.acceptances] == [anna]


def test_a_delivery_on_its_way_to_a_phone_that_was_sold_is_stopped() -> None:
    stage = Stage()
    seller, buyer = "u0", "u3"

    async def story() -> None:
        await stage.traffic.register(seller, "phone", "token")
        await stage.world.rest()
        await stage.traffic.control("pause", "channel", "push")
        await asyncio.sleep(1.0)
        await stage.ask(seller, "offer", "push")
        await asyncio.sleep(1.0)
        await stage.traffic.register(buyer, "phone", "token")
        await asyncio.sleep(1.0)
        await stage.traffic.control("resume", "channel", "push")

    found = stage.play(story)

    assert found.acceptances == []
    assert told(found)[-1] == ("suppressed", "address_gone")
