"""`python -m tests.simulation`: play many seeds, or tell what happens in one."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from proof.kept import Kept
from proof.origin import commit
from tests.simulation.coverage import ENOUGH_SEEDS, empty_cells, table
from tests.simulation.keeping import (
    CannotAdd,
    Search,
    missed,
    must_be_apart,
    of_commits,
    report,
    search_of,
)
from tests.simulation.planted import BUGS, planted
from tests.simulation.retelling import retell
from tests.simulation.searching import Tally, search
from tests.simulation.shrinking import shrink
from tests.simulation.story import Story
from tests.simulation.telling import Cell, tell
from tests.simulation.writing import write

_SECONDS_A_LINE = 10.0


def main(words: Sequence[str]) -> int:
    """The exit code: 0 when all is well."""
    parser = _arguments()
    asked = parser.parse_args(words)
    if asked.seed is not None:
        return tell_of(asked.seed, bug=asked.bug)
    if asked.report and not asked.keep:
        parser.error("--report is of what --keep names")
    if asked.keep and asked.bug:
        parser.error("what a planted bug came to is not kept")
    try:
        code = search_for(asked) if asked.seeds else 0
        if asked.report:
            found = of_commits(Kept(asked.keep, Search).all, asked.commits)
            asked.report.write_text(report(found))
            code = max(code, _tell_missed(missed(found)))
    except CannotAdd as error:
        print(f"{asked.keep}: {error}", file=sys.stderr)
        return 2
    return code


def search_for(asked: argparse.Namespace) -> int:
    """The exit code."""
    seeds = range(asked.first, asked.first + asked.seeds)
    if asked.keep:
        kept = Kept(asked.keep, Search)
        must_be_apart([seeds, *(each.played for each in kept.all if each.commit == commit())])
    began = time.monotonic()
    tally = search(
        seeds,
        bug=asked.bug,
        processes=asked.processes,
        most_failures=asked.most_failures,
        on_progress=_now_and_then(began),
    )
    seconds = time.monotonic() - began
    print("\n".join(table(tally.cells)))
    print(_line(tally, seconds))
    if asked.keep:
        kept.append(search_of(tally, first=asked.first, seconds=seconds, processes=asked.processes))
    if tally.failures:
        return tell_of(tally.failures[0].seed, bug=asked.bug)
    code = _tell_missed(empty_cells(tally.cells))
    return code if tally.seeds >= ENOUGH_SEEDS else 0


def _tell_missed(cells: Sequence[Cell]) -> int:
    for point, fault in cells:
        print(f"NEVER {fault} at {point}")
    return 1 if cells else 0


def tell_of(seed: int, *, bug: str = "") -> int:
    """Print the story of a seed; of one that ends badly, the shortest that ends so too."""
    story = write(seed)
    with planted(bug) as process_class:
        ending = tell(story, process_class)
        if ending.complaints:
            with_bug = f" --bug {bug}" if bug else ""
            print(f"FAILED; to see it again: python -m tests.simulation {seed}{with_bug}")
            for complaint in ending.complaints:
                print(f"  {complaint}")
            shrunk = shrink(story, ending, process_class)
            print(f"shrunk to {_size(shrunk.story)} from {_size(story)} in {shrunk.told} tries:")
            story, ending = shrunk.story, shrunk.ending
    print("\n".join(retell(story, ending)))
    return 1 if ending.complaints else 0


def _size(story: Story) -> str:
    return f"{len(story.steps)} steps and {len(story.blows)} blows"


def _now_and_then(began: float) -> Callable[[Tally], None]:
    last, told = began, 0

    def progress(tally: Tally) -> None:
        nonlocal last, told
        for failure in tally.failures[told:]:
            print(f"FAILED seed {failure.seed}: {failure.complaint}", file=sys.stderr, flush=True)
        told = len(tally.failures)
        now = time.monotonic()
        if now - last >= _SECONDS_A_LINE:
            last = now
            print(_line(tally, now - began), file=sys.stderr, flush=True)

    return progress


def _line(tally: Tally, seconds: float) -> str:
    return (
        f"{tally.seeds:,} seeds, {tally.seeds / seconds:.1f} a second,"
        f" {tally.seeds / max(tally.cpu_seconds, 1e-9):.1f} a second of CPU;"
        f" {tally.crash_points:,} crash points; {len(tally.failures)} failed"
    )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="tell the story of this one")
    parser.add_argument(
        "--seeds",
        type=int,
        default=1000,
        help=f"how many to play; from {ENOUGH_SEEDS:,} on a fault that never struck somewhere fails"
        " the search: with fewer, chance alone leaves some out",
    )
    parser.add_argument("--first", type=int, default=0, help="from this one on")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="usually one a core"
    )
    parser.add_argument("--most-failures", type=int, default=1, help="go on until so many failed")
    parser.add_argument("--bug", default="", choices=("", *BUGS), help="plant one")
    parser.add_argument("--keep", type=Path, help="add a line of what it came to to this file")
    parser.add_argument(
        "--report",
        type=Path,
        help="write this page of all kept lines of one commit, the last; --seeds 0 does only that",
    )
    parser.add_argument(
        "--commits",
        nargs="+",
        default=[],
        help="have the page add up these, where what is played has not changed between them",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
