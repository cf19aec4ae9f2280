"""All runs of one peer, and what is said of them together, in the form of the other benchmarks."""

import asyncio
import datetime
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.measure import Struck, metered, struck
from benchmarks.peers.peer import Peer
from benchmarks.whole import results
from benchmarks.whole.machine import commit, machine
from benchmarks.whole.results import OneRun, Result
from benchmarks.whole.run import Stretch
from benchmarks.whole.scenario import Better, Figure

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
LOAD = _figure("load", "load of the machine before", "")


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
        loads, stretches = [], []
        for _ in range(min(self.repeats, peer.most_repeats)):
            loads.append(os.getloadavg()[0])
            stretches.append(asyncio.run(metered(peer, people, folder)))
        blows = [
            asyncio.run(struck(peer, people // _KILL_SHARE, folder, kills=self.kills, seed=seed))
            for seed in range(min(self.rounds, peer.most_rounds) if self.kills else 0)
        ]
        result = self._together(peer, people, stretches, blows, loads)
        results.write_result(self.results, result)
        return result

    def _together(
        self,
        peer: Peer,
        people: int,
        stretches: Sequence[Stretch],
        blows: Sequence[Struck],
        loads: Sequence[float],
    ) -> Result:
        values = {
            "rate": [each.rate for each in stretches],
            "worker": [each.per_million("worker") for each in stretches],
            "broker": [each.per_million("broker") for each in stretches],
            "load": loads,
        }
        for each in STRUCK:
            values[each.name] = [
                getattr(blow.verdict, each.name) / blow.kills for blow in blows if blow.kills
            ]
        values["done"] = [each.seconds for each in blows]
        figures = (*METERED, *STRUCK, DONE, LOAD)
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
            curves={}, profiles=[],
        )  # fmt: skip
