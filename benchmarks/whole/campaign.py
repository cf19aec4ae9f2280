"""Scenarios, each so many times: what was measured is kept, so a campaign goes on where it stopped."""

import asyncio
import datetime
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks.whole import results
from benchmarks.whole.machine import commit, is_changed, loop_ms, machine
from benchmarks.whole.results import OneRun, Result
from benchmarks.whole.run import Run
from benchmarks.whole.scenario import Scenario
from benchmarks.whole.state import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    people: int
    repeats: int | None
    """Runs that count, at least; as many as each scenario has by itself when None."""
    is_quick: bool
    data: Path
    """For prepared installations and single runs; kept."""
    results: Path
    command: str
    commit: str = field(default_factory=commit)

    def measure(self, scenario: Scenario) -> Result:
        """Runs that are kept, of this very commit, are not made again, and all count. One more before
        them is profiled, warms the page cache up, and is not counted; a quick campaign counts it."""
        kept = self._kept(scenario)
        if self._forgets:
            kept.unlink(missing_ok=True)  # of what they are nobody knows any more
        if scenario.is_profiled and not self.is_quick and not kept.exists():
            self._run(scenario, is_profiled=True)
        runs, repeats = list(_read(kept)), self._repeats(scenario)
        while len(runs) < repeats:
            runs.append(self._run(scenario, is_profiled=self.is_quick and scenario.is_profiled))
            kept.parent.mkdir(parents=True, exist_ok=True)
            with kept.open("ab") as lines:
                lines.write(msgspec.json.encode(runs[-1]) + b"\n")
        return self._together(scenario, runs)

    def expected_seconds(self, scenario: Scenario) -> float:
        """For the runs that are still to be made, with a million people or fewer."""
        kept = 0 if self._forgets else len(list(_read(self._kept(scenario))))
        profiled = scenario.is_profiled and not self.is_quick and not kept
        return (max(self._repeats(scenario) - kept, 0) + profiled) * scenario.run_seconds

    @property
    def _forgets(self) -> bool:
        return is_changed(self.commit) or self.is_quick

    def _repeats(self, scenario: Scenario) -> int:
        return self.repeats or scenario.repeats

    def _run(self, scenario: Scenario, *, is_profiled: bool) -> OneRun:
        if is_profiled:
            shutil.rmtree(self._profiles(scenario), ignore_errors=True)  # of stretches as they were
        run = Run(
            people=self.people, is_quick=self.is_quick, prepared=Prepared(self.data),
            profiles=self._profiles(scenario) if is_profiled else None,
        )  # fmt: skip
        began, pace_ms = time.monotonic(), loop_ms()
        asyncio.run(scenario.run(run))
        what = "profiled" if is_profiled else "measured"
        print(f"{scenario.name} {what} in {time.monotonic() - began:.0f} s", flush=True)
        return results.noted(run, pace_ms)

    def _together(self, scenario: Scenario, runs: list[OneRun]) -> Result:
        is_bound = self.people >= scenario.people
        result = Result(
            scenario=scenario.name, measures=scenario.measures, people=self.people,
            date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
            commit=self.commit, command=self.command, machine=machine(),
            loop_ms=[run.loop_ms for run in runs],
            figures={
                each.name: results.summary(
                    each, [run.figures[each.name] for run in runs], is_bound=is_bound
                )
                for each in scenario.figures
            },
            costs=results.median_costs(runs), is_harness_bound=results.is_harness_bound(runs),
            curves=runs[-1].curves,
            profiles=[
                str(each.relative_to(self.results))
                for each in sorted(self._profiles(scenario).glob("*.txt"))
            ],
        )  # fmt: skip
        results.write_result(self.results, result)
        return result

    def _kept(self, scenario: Scenario) -> Path:
        kind = "quick" if self.is_quick else "full"
        return self.data / "runs" / f"{self.commit}-{self.people}-{kind}" / f"{scenario.name}.jsonl"

    def _profiles(self, scenario: Scenario) -> Path:
        return self.results / "profiles" / scenario.name


def _read(kept: Path) -> Iterator[OneRun]:
    for line in kept.read_bytes().splitlines() if kept.exists() else ():
        yield msgspec.json.decode(line, type=OneRun)
