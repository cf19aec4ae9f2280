"""Parts of what holds many: of a batch, so that no yield outgrows a transaction; of an item, so
that a culprit in it is given up alone."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from agents.stage import Item

T = TypeVar("T")
V = TypeVar("V")


def portions(
    items: Sequence[Item[T]], size_of: Callable[[T], int], at_least: int
) -> Iterator[list[Item[T]]]:
    """Runs of items, each ended by the item that makes it hold `at_least`."""
    portion: list[Item[T]] = []
    size = 0
    for item in items:
        portion.append(item)
        size += size_of(item.value)
        if size >= at_least:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def halves(many: Sequence[V]) -> tuple[Sequence[V], Sequence[V]]:
    """Two parts of what is more than one: whoever must be given up is in one of them."""
    middle = len(many) // 2
    return many[:middle], many[middle:]
