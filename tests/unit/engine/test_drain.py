"""R4: what a drain ends, what it leaves to the next owner, and that nothing else is in doubt."""

import asyncio

import pytest

from streams.engine import committer
from tables.state import StoreFailed
from tests.unit.engine.bench import SOURCE, Bench


async def test_earlier_owners_are_fenced_before_it_is_told_and_before_anything_is_restored(
    bench: Bench,
) -> None:
    bench.runner = bench.new_life()

    await bench.runner.partitions_assigned({0, 1})

    fences, told = bench.told[:2], bench.told[2:]
    assert fences == ["fence"] * 2
    assert told == ["fenced {0, 1}", "restore", "restore", "before open"]


@pytest.fixture
def endless_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for company waits until it comes."""
    monkeypatch.setattr(committer, "WAIT_SECONDS", 3600.0)


@pytest.mark.usefixtures("endless_waits")
async def test_an_outcome_is_told_with_the_next_intent(bench: Bench) -> None:
    bench.request(b"first")
    await bench.take_over()
    await bench.until(lambda: bench.provider.asked.total() == 1)
    assert not bench.statuses()

    bench.push(b"second")
    await bench.until(lambda: bool(bench.statuses()))

    assert bench.statuses() == {b"first": [b"sent"]}


@pytest.mark.usefixtures("endless_waits")
async def test_a_drain_does_not_wait_for_company(bench: Bench) -> None:
    bench.provider.silent_about = {b"slow"}
    bench.request(b"quick")
    await bench.take_over()
    await bench.until(lambda: bench.provider.asked.total() == 1)
    bench.push(b"slow")
    await bench.until(lambda: bench.provider.asked.total() == 2)

    await bench.runner.give_up()

    assert bench.statuses() == {b"quick": [b"sent"], b"slow": [b"in_doubt"]}


@pytest.mark.usefixtures("endless_waits")
async def test_what_waits_for_company_leaves_half_of_the_width_to_others(bench: Bench) -> None:
    await bench.take_over()
    for number in range(24):
        bench.push(b"%d" % number)
    await bench.until(lambda: bench.provider.asked.total() == 24)


async def test_a_drain_waits_for_calls_and_records_their_outcomes(bench: Bench) -> None:
    bench.provider.silent_about = {b"slow"}
    bench.request(b"slow", b"quick")
    await bench.take_over()
    await bench.until(lambda: bench.provider.asked.total() == 2)

    giving_up = asyncio.create_task(bench.runner.give_up())
    await asyncio.sleep(0)
    bench.provider.let_go.set()
    await giving_up

    assert bench.statuses() == {b"slow": [b"sent"], b"quick": [b"sent"]}


async def test_who_gives_up_while_another_does_waits_for_the_same_drain(bench: Bench) -> None:
    bench.provider.silent_about = {b"slow"}
    bench.request(b"slow")
    await bench.take_over()
    await bench.until(lambda: bench.provider.asked.total() == 1)

    both = [asyncio.create_task(bench.runner.give_up()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(each.done() for each in both)
    bench.provider.let_go.set()
    await asyncio.gather(*both)

    assert bench.statuses() == {b"slow": [b"sent"]}


async def test_a_drain_that_fails_ends_the_process(bench: Bench) -> None:
    await bench.take_over()
    bench.stores[-1].can_close = False

    with pytest.raises(StoreFailed, match="no room"):
        await bench.runner.give_up()

    assert [str(death) for death in bench.deaths] == ["no room"]
    bench.deaths.clear()


async def test_a_call_that_outlives_the_bound_is_recorded_unknown_and_nothing_else_is_in_doubt(
    bench: Bench,
) -> None:
    bench.provider.silent_about = {b"hangs", b"hangs-too"}
    bench.request(b"sent", b"hangs", b"hangs-too", b"waits", b"waits-too")
    await bench.take_over()
    await bench.until(lambda: bench.provider.asked.total() == 3)

    await bench.runner.give_up()

    assert bench.statuses() == {
        b"sent": [b"sent"], b"hangs": [b"in_doubt"], b"hangs-too": [b"in_doubt"]
    }  # fmt: skip
    assert bench.notes.abandoned == 0

    bench.provider.silent_about = set()
    bench.now_ms += 1000  # what waited was put off, not asked
    await bench.take_over()
    await bench.until(lambda: len(bench.statuses()) == 5)
    await bench.runner.give_up()
    assert bench.statuses()[b"waits"] == bench.statuses()[b"waits-too"] == [b"sent"]
    assert set(bench.provider.asked.values()) == {1}


async def test_a_call_that_cannot_be_cut_off_is_in_doubt_for_the_next_owner_only(
    bench: Bench,
) -> None:
    bench.provider.silent_about = {b"deaf"}
    bench.provider.ignores_cuts = True
    bench.request(b"deaf", b"sent")
    await bench.take_over()
    await bench.until(lambda: len(bench.statuses()) == 1 and bench.provider.asked.total() == 2)

    await bench.runner.give_up()
    assert bench.statuses() == {b"sent": [b"sent"]}
    await bench.take_over()
    await bench.until(lambda: len(bench.statuses()) == 2)
    bench.provider.let_go.set()  # the answer of an earlier life comes at last
    await bench.runner.give_up()

    assert bench.statuses() == {b"sent": [b"sent"], b"deaf": [b"in_doubt"]}
    assert bench.provider.asked[b"deaf"] == 1


async def test_what_comes_in_during_a_drain_is_left_for_the_next_owner(bench: Bench) -> None:
    bench.provider.silent_about = {b"slow"}
    bench.request(b"slow")
    await bench.take_over()
    await bench.provider.is_asked.wait()

    giving_up = asyncio.create_task(bench.runner.give_up())
    await asyncio.sleep(0.01)  # the drain is under way
    bench.request(b"late")
    for record in bench.broker.read_committed(SOURCE, 1, 100)[0]:
        bench.runner.push(record)
    bench.provider.let_go.set()
    await giving_up
    assert bench.provider.asked == {b"slow": 1}

    await bench.take_over()
    await bench.until(lambda: len(bench.statuses()) == 2)
    await bench.runner.give_up()
    assert bench.statuses() == {b"slow": [b"sent"], b"late": [b"sent"]}
