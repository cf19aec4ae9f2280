"""What was struck where: a yield, how far it had come, and what happened to its process there."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import get_args

from tests.simulation.telling import Cell, Fault
from tests.simulation.writing import ABORTABLE, all_points

FAULTS: tuple[Fault, ...] = get_args(Fault)
ENOUGH_SEEDS = 50_000
"""So many leave no cell empty, unless something cannot be reached any more. With fewer, chance does:
what is struck seldom where little happens comes about once in some thousand seeds."""


def empty_cells(cells: Mapping[Cell, int]) -> list[Cell]:
    """Points at which some fault never struck."""
    return [
        (point, fault)
        for point in all_points()
        for fault in FAULTS
        if not cells.get((point, fault))
        and (fault != "aborted" or point.moment in ABORTABLE)  # elsewhere another's transaction is
    ]


def table(cells: Counter[Cell]) -> Iterator[str]:
    """A line for each moment of each yield, with how often each fault struck there."""
    yield "how often a process met its fate where a yield had come so far:"
    yield "".join([" " * 28, *(f"{fault:>10}" for fault in FAULTS)])
    for point in all_points():
        counts = (f"{cells[point, fault]:>10,}" for fault in FAULTS)
        yield "".join([f"{point!s:28}", *counts])
