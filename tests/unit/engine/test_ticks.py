"""What is done once a second: rows that come due, and what a store may forget."""

import asyncio

from streams.watched_clock import ClockAskew
from tests.unit.engine.bench import (
    SETTINGS,
    Bench,
)


async def test_a_schedule_is_looked_at_again_when_a_row_is_written_or_comes_due(
    bench: Bench,
) -> None:
    await bench.take_over()
    (store,) = bench.stores
    scans, tidied = store.scans, store.tidied
    await bench.until(lambda: store.tidied > tidied + 1)
    assert store.scans == scans

    bench.provider.busy_for = {b"a"}
    bench.push(b"a")
    await bench.until(lambda: not bench.provider.busy_for)
    bench.now_ms += 500
    await bench.until(lambda: bench.statuses() == {b"a": [b"sent"]})


async def test_a_store_is_not_said_to_be_up_to_date_before_the_lease_is_good(bench: Bench) -> None:
    bench.lease.good = False
    await bench.take_over()
    (store,) = bench.stores
    await asyncio.sleep(10 * SETTINGS.tick_seconds)  # nothing is to happen
    assert store.tidied == 0

    bench.lease.good = True

    await bench.until(lambda: store.tidied > 0)


async def test_nothing_is_forgotten_by_a_clock_that_was_never_compared(bench: Bench) -> None:
    bench.is_clock_known = False
    await bench.take_over()
    (store,) = bench.stores
    await asyncio.sleep(10 * SETTINGS.tick_seconds)  # nothing is to happen
    assert store.tidied == 0

    bench.is_clock_known = True

    await bench.until(lambda: store.tidied > 0)


async def test_files_are_merged_at_rest_whether_the_time_is_known_or_not(bench: Bench) -> None:
    bench.is_clock_known = False
    await bench.take_over()
    (store,) = bench.stores

    await bench.until(lambda: store.looks > 1)

    assert store.tidied == 0


async def test_a_clock_that_was_set_ends_the_process_and_nothing_is_forgotten_by_it(
    bench: Bench,
) -> None:
    bench.is_clock_set = True
    await bench.take_over()
    (store,) = bench.stores

    await bench.until(lambda: bool(bench.deaths))

    assert {type(each) for each in bench.deaths} == {ClockAskew}
    assert store.tidied == 0
    bench.deaths.clear()
    bench.is_clock_set = False
