"""What was struck where: a yield, how far it had come, and what happened to its process there."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import get_args

from proof.named_yields import CALLING, MOMENTS, Point
from tests.simulation.telling import Cell, Fault
from tests.simulation.writing import all_points

FAULTS: tuple[Fault, ...] = get_args(Fault)
ENOUGH_SEEDS = 20_000
"""So many leave no cell empty, unless something cannot be reached any more."""


def empty_cells(cells: Mapping[Cell, int]) -> list[Cell]:
    """Points at which some fault never struck."""
    return [
        (point, fault)
        for point in all_points()
        for fault in FAULTS
        if not cells.get((point, fault))
    ]


def table(cells: Counter[Cell]) -> Iterator[str]:
    """A line a yield, with how often each fault struck at each moment."""
    moments = (*MOMENTS, CALLING)
    yield f"how often a process was {' / '.join(FAULTS)} where a yield had come so far:"
    yield "".join([" " * 18, *(f"{moment:>26}" for moment in moments)])
    points = set(all_points())
    for name in dict.fromkeys(each.name for each in all_points()):
        counts = [
            "/".join(str(cells[point, fault]) for fault in FAULTS) if point in points else "-"
            for point in (Point(name, moment) for moment in moments)
        ]
        yield "".join([f"{name:18}", *(f"{count:>26}" for count in counts)])
