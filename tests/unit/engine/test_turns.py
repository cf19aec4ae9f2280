"""How bulk work gives way to what is urgent, and is not held up for ever."""

import asyncio
import time

from streams.engine.turns import BulkTurns

STEP_SECONDS = 0.02


def work() -> None:
    """As a step does, without a wait."""
    time.sleep(STEP_SECONDS)


async def turns_of_the_loop(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def after_a_step() -> BulkTurns:
    """A step of bulk work was just made."""
    turns = BulkTurns()
    await turns.wait()
    work()
    await turns_of_the_loop()
    return turns


async def test_bulk_work_alone_goes_on_at_once() -> None:
    turns = await after_a_step()
    next_step = asyncio.create_task(turns.wait())
    await turns_of_the_loop()

    assert next_step.done()
    assert not turns.are_short


async def test_bulk_work_rests_until_what_is_urgent_is_committed() -> None:
    turns = await after_a_step()
    with turns.urgent():
        next_step = asyncio.create_task(turns.wait())
        await turns_of_the_loop()
        assert not next_step.done()
    await turns_of_the_loop()

    assert next_step.done()


async def test_bulk_work_rests_for_a_few_times_its_last_step_at_the_most() -> None:
    turns = await after_a_step()
    rests_from = time.monotonic()
    with turns.urgent():
        await turns.wait()
        assert time.monotonic() - rests_from > 2 * STEP_SECONDS
        work()
        await turns.wait()


async def test_nothing_urgent_that_ends_lets_go_of_another() -> None:
    turns = await after_a_step()
    with turns.urgent():
        with turns.urgent():
            next_step = asyncio.create_task(turns.wait())
            await turns_of_the_loop()
        await turns_of_the_loop()
        assert not next_step.done()
    await next_step


async def test_steps_are_short_while_something_urgent_shares_the_worker_and_a_while_after() -> None:
    turns = BulkTurns()
    assert not turns.are_short
    with turns.urgent():
        assert turns.are_short

    assert turns.are_short


async def test_one_step_begins_at_a_time() -> None:
    turns, begun = BulkTurns(), list[int]()

    async def step(number: int) -> None:
        await turns.wait()
        begun.append(number)

    steps = [asyncio.create_task(step(number)) for number in range(3)]
    await steps[0]

    assert begun == [0]
    await asyncio.gather(*steps)
    assert begun == [0, 1, 2]
