"""What is said of runs together: medians, verdicts, marks, and the table of them."""

from pathlib import Path

import msgspec
import pytest

from benchmarks.whole import page
from benchmarks.whole.campaign import Campaign
from benchmarks.whole.load import Told, quantile
from benchmarks.whole.machine import command
from benchmarks.whole.profiler import heaviest, top
from benchmarks.whole.results import Cost, OneRun, Result, is_harness_bound, median_costs, summary
from benchmarks.whole.run import Run, Stretch
from benchmarks.whole.scenario import Figure, Scenario
from benchmarks.whole.scenarios import SCENARIOS
from benchmarks.whole.scenarios.kill import sends_again

RATE = Figure(name="rate", measures="sent", unit="/s", better="higher", floor=100, goal=200)
WAIT = Figure(name="wait", measures="waited", unit="ms", better="lower", floor=40, goal=12)


def test_a_figure_is_its_median_with_the_range_of_all_runs() -> None:
    told = summary(RATE, [150, 90, 110])

    assert (told.median, told.low, told.high) == (110, 90, 150)


def test_a_verdict_is_that_of_the_median_and_knows_which_way_is_better() -> None:
    assert [summary(RATE, [value]).verdict for value in (99, 100, 200)] == [
        "below",
        "floor",
        "goal",
    ]
    assert [summary(WAIT, [value]).verdict for value in (41, 40, 12)] == ["below", "floor", "goal"]


def test_the_best_bound_that_all_runs_reach_counts_and_one_that_only_the_median_reaches_is_open() -> (
    None
):
    assert summary(RATE, [201, 210, 199]).verdict == "floor", "which all reach"
    assert summary(RATE, [101, 110, 99]).verdict == "open"
    assert summary(RATE, [101, 250, 150]).verdict == "floor"
    assert summary(RATE, [99, 98, 110]).verdict == "below"
    assert summary(WAIT, [11, 10, 13]).verdict == "floor"
    assert summary(WAIT, [11, 10, 41]).verdict == "open"


def test_a_figure_without_bounds_has_no_verdict() -> None:
    plain = Figure(name="cpu", measures="worker", unit="s", better="lower")

    assert summary(plain, [1.0]).verdict == ""


def test_nothing_reaches_a_bound_that_is_of_more_people() -> None:
    assert summary(RATE, [250], is_bound=False).verdict == ""


def test_a_stretch_tells_rate_cost_and_how_busy_the_other_core_was() -> None:
    stretch = Stretch("send", is_pinned=True, began=10.0)
    stretch.cpu = {"worker": 2.0, "broker": 1.0, "harness": 0.5}

    stretch.end(12.0, count=1_000)

    assert stretch.rate == 500
    assert stretch.per_million() == 2000
    assert stretch.harness_busy == 0.75


def test_the_business_of_a_core_that_workers_share_is_not_told() -> None:
    stretch = Stretch("whole", is_pinned=False, began=0.0)

    stretch.end(1.0, count=1)

    assert stretch.harness_busy is None


def test_a_harness_core_above_85_percent_in_one_run_marks_the_result() -> None:
    calm = OneRun({}, {"a": _cost(busy=0.85), "b": _cost(busy=None)}, {})
    busy = OneRun({}, {"a": _cost(busy=0.5), "b": _cost(busy=0.86)}, {})

    assert not is_harness_bound([calm, calm])
    assert is_harness_bound([calm, busy, calm])


def test_costs_are_medians_stretch_by_stretch() -> None:
    runs = [OneRun({}, {"send": _cost(busy=busy, worker=cpu)}, {}) for busy, cpu in
            ((0.1, 9.0), (0.3, 7.0), (0.2, 8.0))]  # fmt: skip

    cost = median_costs(runs)["send"]

    assert cost.harness_busy == 0.2
    assert cost.cpu_per_million["worker"] == 8.0


def test_a_quantile_is_a_wait_that_occurred() -> None:
    told = [Told(0.0, float(wait), 0) for wait in range(100, 0, -1)]

    assert quantile(told, 0.5) == 51
    assert quantile(told, 0.99) == 100


def test_the_top_of_a_profile_leaves_out_lines_and_the_way_to_the_work() -> None:
    folded = (
        "main (a.py:1);work (b.py:7);hash (c.py:3) 60\nmain (a.py:1);work (b.py:9) 30\n"
        "main (a.py:1) 10\n"
    )

    told = top(folded)

    assert " 60.0%  hash (c.py)" in told
    assert " 90.0%  work (b.py)" in told
    assert "100.0%" not in told


def test_a_profile_without_samples_says_so() -> None:
    assert top("") == "no samples\n"


def test_the_heaviest_of_a_profile_are_its_first_few_by_own_time() -> None:
    report = top(
        "main (a.py:1);work (b.py:7) 30\nmain (a.py:1);hash (c.py:3) 60\nmain (a.py:1) 10\n"
    )

    assert heaviest(report) == ["60.0% hash (c.py)", "30.0% work (b.py)", "10.0% main (a.py)"]
    assert heaviest(top("")) == []
    assert len(heaviest(top("".join(f"f{each} (a.py:1) 1\n" for each in range(9))))) == 5


def test_the_page_says_of_each_profile_where_its_time_goes(tmp_path: Path) -> None:
    (tmp_path / "send-email-0.txt").write_text(top("hash (c.py:3) 60\n"))
    result = _result(is_bound=False)
    result.profiles = ["send-email-0.txt"]

    told = page.where_time_goes([result], tmp_path)

    assert told[-1] == "| [send: send-email-0](results/send-email-0.txt) | `100.0% hash (c.py)` |"


def test_a_campaign_expects_as_many_runs_as_it_is_told_or_the_scenario_has_and_one_that_is_profiled(
    tmp_path: Path,
) -> None:
    def campaign(repeats: int | None = None) -> Campaign:
        return Campaign(
            people=1000, repeats=repeats, is_quick=False, data=tmp_path, results=tmp_path,
            command="", commit="abc",
        )  # fmt: skip

    seldom = Scenario(
        name="send", measures="sends", figures=(), run=_nothing, run_seconds=40, repeats=2
    )
    assert campaign(1).expected_seconds(seldom) == 80
    assert campaign(5).expected_seconds(seldom) == 240
    assert campaign().expected_seconds(seldom) == 120

    kept = tmp_path / "runs" / "abc-1000-full" / "send.jsonl"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(msgspec.json.encode(OneRun({}, {}, {})) + b"\n")

    assert campaign().expected_seconds(seldom) == 40


def test_all_scenarios_take_an_hour_and_a_half_at_most(tmp_path: Path) -> None:
    campaign = Campaign(
        people=1_000_000, repeats=None, is_quick=False, data=tmp_path, results=tmp_path,
        command="", commit="abc",
    )  # fmt: skip

    assert sum(map(campaign.expected_seconds, SCENARIOS.values())) <= 87 * 60  # 3 to prepare


async def _nothing(run: Run) -> None: ...


def test_a_kill_is_over_for_each_partition_at_its_first_acceptance_of_what_was_asked_later() -> (
    None
):
    early = [Told(900.0, 200.0, place) for place in range(8)]  # asked before, accepted after
    told = [*early, *(Told(1000.0 + place, 500.0, place) for place in range(1, 9))]
    told += [Told(1500.0, 1000.0, 0), Told(1600.0, 1.0, 1)]

    again = sends_again(told, 1000.0)

    assert max(again) == 1.5
    assert min(again) == 0.501


def test_the_table_marks_what_the_harness_may_have_limited() -> None:
    row = next(line for line in page.table([_result(is_bound=True)]).splitlines() if "sent" in line)

    assert row == "| [send](plots/send.svg) ‡ | sent | 110 (90–150) /s | 3 | 100 | 200 | open |"


def test_the_page_is_changed_between_its_markers_only(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n")

    page.update(readme, [])

    assert readme.read_text().startswith("before\n<!-- results -->\n")
    assert readme.read_text().endswith("\n<!-- end of results -->\nafter\n")
    assert "old" not in readme.read_text()


def _cost(*, busy: float | None, worker: float = 1.0) -> Cost:
    return Cost(1.0, 1, busy, {"worker": worker, "broker": 1.0, "harness": 1.0})


def _result(*, is_bound: bool) -> Result:
    return Result(
        scenario="send", measures="sends", people=1000, date="2026-01-01 00:00 UTC",
        commit="abc", command="", machine={"cores": 2},
        figures={"rate": summary(RATE, [150, 90, 110])}, costs={"send": _cost(busy=0.9)},
        is_harness_bound=is_bound, curves={}, profiles=[],
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [["import", "--data", "/home/ann/kept"], ["--data=/home/ann/kept", "import"]]
)
def test_a_result_does_not_tell_where_a_machine_keeps_its_data(arguments: list[str]) -> None:
    told = command("benchmarks.whole", [*arguments, "--repeats", "2"])

    assert told == "python -m benchmarks.whole import --repeats 2"
