"""The named yields of a role, found in the source of its stages, and the moments to die at.

A yield's name is `<Stage>.<n>`, the n-th of its generator in source order. What is found here
is what must be hit, so a stage or a yield that is added later needs no line in a list.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

from agents.stage import Stage
from streams.engine.routes import Topology

MOMENTS = ("yielded", "staged", "appended", "committed", "applied")
"""Before the yield is staged; staged, but no transaction begun; its records in Kafka in an open
transaction; committed there, its rows not applied; applied, before the generator goes on."""
CALLING = "calling"
"""The provider has accepted, and its answer was not seen: between an intent and this yield."""
RUNNER = "StageRun"
"""What the runner itself stages: records of another partition, and those that nobody can read."""


class NamedYield(NamedTuple):
    """One `yield` of a stage's generator; the lines are those of its file."""

    name: str
    first_line: int
    last_line: int
    ends_calls: bool
    """It stands in a loop over `batch.calls`: provider calls are open before it."""


class Point(NamedTuple):
    """Where a worker dies."""

    name: str
    moment: str

    def __str__(self) -> str:
        return f"{self.name}:{self.moment}"


def points_of(topology: Topology) -> list[Point]:
    """Every moment of every yield of the role, moment by moment."""
    kinds = dict.fromkeys(map(type, stages_of(topology)))
    yields = [each for kind in kinds for each in yields_of(kind)]
    is_keyed = any(source.user_of is not None for source in topology.sources)
    return [
        *(Point(each.name, moment) for moment in MOMENTS for each in yields),
        *(Point(each.name, CALLING) for each in yields if each.ends_calls),
        *(Point(RUNNER, moment) for moment in MOMENTS[1:4] if is_keyed),
    ]


def stages_of(topology: Topology) -> list[Stage[Any]]:
    """Of every source and timer; one may come more than once."""
    sources, timers = topology.sources, topology.timers
    return [*(each.stage for each in sources), *(each.stage for each in timers)]


def yields_of(stage: type[Any]) -> list[NamedYield]:
    """In source order."""
    lines, first_line = inspect.getsourcelines(stage.handle)
    (handle,) = ast.parse(textwrap.dedent("".join(lines))).body
    return [
        NamedYield(
            f"{stage.__name__}.{number}",
            first_line + node.lineno - 1,
            first_line + (node.end_lineno or node.lineno) - 1,
            ends_calls,
        )
        for number, (node, ends_calls) in enumerate(_yields_in(handle, False), 1)
    ]


def _yields_in(node: ast.AST, in_calls: bool) -> Iterator[tuple[ast.Yield, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Yield):
            yield child, in_calls
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _yields_in(child, in_calls or _makes_calls(child))


def _makes_calls(node: ast.AST) -> bool:
    """Whether it is `async for ... in batch.calls(...)`."""
    return (
        isinstance(node, ast.AsyncFor)
        and isinstance(node.iter, ast.Call)
        and isinstance(node.iter.func, ast.Attribute)
        and node.iter.func.attr == "calls"
    )
