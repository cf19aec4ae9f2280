"""All runs of one peer, and what is said of them together, in the form of the other benchmarks."""

import asyncio
import datetime
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.peers.measure import Struck, metered, struck
from benchmarks.peers.peer import Peer
from benchmarks.whole import results
from benchmarks.whole.machine import commit, loop_ms, machine
from benchmarks.whole.results import OneRun, Result
from benchmarks.whole.run import Stretch
from benchmarks.whole.scenario import Better, Figure
from proof.checker.verdict import INVARIANTS

T = TypeVar("T")

_KILL_SHARE = 4
"""Kills need no more than this part of the people: what they cost is what was in hand."""


def _figure(name: str, measures: str, unit: str, better: Better = "lower") -> Figure:
    return Figure(name=name, measures=measures, unit=unit, better=better)


METERED = (
    _figure("rate", "recipients, one core", "/s", "higher"),
    _figure("worker", "CPU of worker", "CPU s per million"),
    _figure("broker", "CPU of broker", "CPU s per million"),
)
STRUCK = (
    _figure("lost", "lost", "a kill"),
    _figure("duplicated", "sent twice", "a kill"),
    _figure("doubts", "left in doubt, and reported", "a kill"),
    _figure("held", "of these not sent", "a kill"),
)
DONE = _figure("done", "until the last mail, with kills", "s")
KILLS = _figure("kills", "kills made", "in all", "higher")
BROKEN = {name: _figure(f"broken {name}", f"violations of {name}", "in all") for name in INVARIANTS}
"""By what the checker calls what was promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    people: int
    repeats: int
    kills: int
    """In each broadcast of `rounds`; no such broadcast when 0."""
    rounds: int
    data: Path
    results: Path
    command: str
    commit: str = field(default_factory=commit)

    def measure(self, peer: Peer) -> Result:
        """Writes it, too. Raises `RuntimeError` or `TimeoutError` when the peer cannot do its work."""
        folder, people = self.data / "run", min(self.people, peer.most_people)
        paces: list[float] = []

        def run(one: Coroutine[Any, Any, T]) -> T:
            paces.append(loop_ms())
            return asyncio.run(one)

        stretches = [
            run(metered(peer, people, folder)) for _ in range(min(self.repeats, peer.most_repeats))
        ]
        blows = [
            run(struck(peer, people // _KILL_SHARE, folder, kills=self.kills, seed=seed))
            for seed in range(min(self.rounds, peer.most_rounds) if self.kills else 0)
        ]
        result = self._together(peer, people, stretches, blows, paces)
        results.write_result(self.results, result)
        return result

    def _together(
        self,
        peer: Peer,
        people: int,
        stretches: Sequence[Stretch],
        blows: Sequence[Struck],
        paces: list[float],
    ) -> Result:
        values = _values(stretches, blows)
        figures = (*METERED, *STRUCK, DONE, KILLS, *BROKEN.values())
        runs = [OneRun({}, {each.name: results.cost_of(each)}, {}) for each in stretches]
        return Result(
            scenario=peer.name, measures=peer.title, people=people,
            date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
            commit=self.commit, command=self.command, machine=machine(),
            figures={
                each.name: results.summary(each, list(values[each.name]))
                for each in figures if values[each.name]
            },
            costs=results.median_costs(runs), is_harness_bound=results.is_harness_bound(runs),
            curves={}, profiles=[], loop_ms=paces,
        )  # fmt: skip


def _values(stretches: Sequence[Stretch], blows: Sequence[Struck]) -> Mapping[str, Sequence[float]]:
    """By the names of figures; of each run, or broadcast with kills, one."""
    values: dict[str, Sequence[float]] = {
        "rate": [each.rate for each in stretches],
        "worker": [each.per_million("worker") for each in stretches],
        "broker": [each.per_million("broker") for each in stretches],
        DONE.name: [each.seconds for each in blows],
        KILLS.name: [each.kills for each in blows],
    }
    for each in STRUCK:
        values[each.name] = [
            getattr(blow.verdict, each.name) / blow.kills for blow in blows if blow.kills
        ]
    for name, figure in BROKEN.items():
        counts = [each.verdict.broken.get(name, 0) for each in blows]
        values[figure.name] = counts if any(counts) else ()
    return values
