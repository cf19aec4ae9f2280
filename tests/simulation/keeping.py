"""What searches came to, a line of a file each: those of some commits add up, and make a page."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec

from proof.markdown import table
from proof.origin import commit, machine, now
from tests.simulation.coverage import ENOUGH_SEEDS, FAULTS, empty_cells
from tests.simulation.searching import Failure, Tally
from tests.simulation.telling import Cell, tell
from tests.simulation.writing import all_points, write

_INTRODUCTION = """\
# Simulation

`make simulate` plays stories in virtual time, each made of one number, its seed: the stages and the
engine that workers run, on a broker, disks and providers in memory, with processes that can be struck
at any await. How a story ended is judged by the checker of [the proof](proof.md), which sees it from
outside, and by one that looks into the processes. In a quarter of the stories blow falls upon blow,
so that processes die while they recover, and again. This page is written by it.
"""
_COLUMNS = (
    "seeds", "how many", "commit", "played", "processes", "crash points", "failed", "a second",
    "a second of CPU",
)  # fmt: skip
_STRUCK = """\
A *crash point* is a blow of which a process died at one of its awaits: *killed*; *wiped*, its disk
lost too; *aged*, to come back with an old copy of its disk; or *aborted*, as its transaction was. To
be *suspended*, *robbed* (suspended, and its partitions are somebody else's when it wakes), *drained*
(it gives them up) or *cut off* (it goes on, and reaches providers, but not the broker) is none. One
blow strikes every yield that its process has under way, so that there is more in the table than crash
points; *aborted* elsewhere than at `staged` and `appended` was another's transaction.
"""
_NOT_COVERED = """\
Kafka and its clients, RocksDB, the senders that speak to providers, and processes as an operating
system has them: for these there are stand-ins, which do what we take the real ones to do. Those are
met by `make prove`, and by the tests in `tests/contract`, `tests/integration` and `tests/acceptance`.
Stories are small, of a few people and two partitions: what it takes a crowd for is not seen.
Providers' callbacks are not read yet; what they say of addresses comes as records, in any order. In
what moods providers were, which clocks were set and how long nobody was there is told by stories, and
counted nowhere.
"""


class CannotAdd(ValueError):
    """Raised for searches that make no sum."""


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What one came to."""

    commit: str
    at: str
    first: int
    seeds: int
    """So many in a row were played."""
    crash_points: int
    failures: list[Failure]
    seconds: float
    cpu_seconds: float
    processes: int
    cells: dict[str, dict[str, int]]
    """For each moment of each yield, how often each fault struck there."""

    @property
    def played(self) -> range:
        return range(self.first, self.first + self.seeds)


def search_of(tally: Tally, *, first: int, seconds: float, processes: int) -> Search:
    """One that is over."""
    return Search(
        commit=commit(), at=now(), first=first, seeds=tally.seeds, crash_points=tally.crash_points,
        failures=tally.failures, seconds=round(seconds, 3), cpu_seconds=round(tally.cpu_seconds, 3),
        processes=processes,
        cells={
            str(point): {fault: tally.cells[point, fault] for fault in FAULTS}
            for point in all_points()
        },
    )  # fmt: skip


def must_be_apart(some: Iterable[range]) -> None:
    """Or what they came to would be counted twice."""
    in_order = sorted((each for each in some if each), key=lambda each: each.start)
    for one, other in pairwise(in_order):
        if other.start < one.stop:
            last = min(one.stop, other.stop) - 1
            raise CannotAdd(f"seeds {other.start} to {last} would be counted twice")


def of_commits(kept: Sequence[Search], names: Collection[str]) -> list[Search]:
    """Of those named, or of the last one's."""
    chosen = names or {each.commit for each in kept[-1:]}
    return [each for each in kept if each.commit in chosen]


def missed(found: Sequence[Search]) -> list[Cell]:
    """What was never struck, in seeds that are enough for all."""
    if sum(each.seeds for each in found) < ENOUGH_SEEDS:
        return []
    sums = _struck(found)
    return empty_cells(
        {(point, fault): sums[str(point)][fault] for point in all_points() for fault in FAULTS}
    )


def report(found: Sequence[Search]) -> str:
    """The page of what they add up to."""
    if not found:
        raise CannotAdd("no such search is kept there")
    must_be_apart(each.played for each in found)
    found = sorted(found, key=lambda each: each.first)
    failures = [failure for each in found for failure in each.failures]
    sums = (
        f"{sum(each.seeds for each in found):,} seeds,"
        f" {sum(each.crash_points for each in found):,} crash points, {len(failures)} failed"
    )
    again = f'make simulate SEEDS={found[0].seeds} ARGS="--first {found[0].first}"'
    lines = [
        _INTRODUCTION,
        f"On {machine()}: {sums}. Commits are those of the code that was played; a `+`: with changes.",
        "",
        *table(_COLUMNS, map(_row, found)),
        "",
        f"To play those of the first row again: `{again}`.",
        *(f"\n- seed {each.seed} failed: {each.complaint}{_now(each)}" for each in failures),
        "\n## What was struck where\n",
        _STRUCK,
        *table(("", *FAULTS), _rows_of(_struck(found))),
        *(f"\n- never {fault} at `{point}`" for point, fault in missed(found)),
        "\n## Not covered\n",
        _NOT_COVERED,
    ]
    return "\n".join(lines)


def _now(failure: Failure) -> str:
    """What has become of it since."""
    return "" if tell(write(failure.seed)).complaints else f"; it is clean in {commit()}"


def _row(search: Search) -> Sequence[str | int]:
    return (
        f"{search.played[0]} to {search.played[-1]}", search.seeds, search.commit, search.at[:10],
        search.processes, search.crash_points, len(search.failures),
        f"{search.seeds / search.seconds:.0f}", f"{search.seeds / search.cpu_seconds:.0f}",
    )  # fmt: skip


def _struck(searches: Iterable[Search]) -> Mapping[str, Counter[str]]:
    """By point, how often each fault struck there."""
    cells: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for search in searches:
        for point, counts in search.cells.items():
            cells[point].update(counts)
    return cells


def _rows_of(struck: Mapping[str, Counter[str]]) -> Iterable[Sequence[str | int]]:
    return [(f"`{point}`", *(counts[each] for each in FAULTS)) for point, counts in struck.items()]
