"""Splits a batch whose items hold many facts each, so that no yield outgrows a transaction."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from agents.stage import Item

T = TypeVar("T")


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
