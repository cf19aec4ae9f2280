"""How a `StopList` holds what was said: one integer a fact, since there may be millions.

From the top: the fact's rank, when it came (44 bits), on or off (1). The higher rank wins, the
later of two equal ones does. A choice or an address ranks by whose word it is and when it was
said; a device or token by when, a removal before a registration of the same instant.
"""

from collections.abc import Iterable
from typing import TypeVar

from schemas.profile import Source

SKEW_MS = 10_000
"""Brokers' and workers' clocks may differ by this much."""
FOR_EVER = 1 << 62

_RANK_AT = 45
_CAME_MASK = (1 << 44) - 1
_OWN = 1 << 48
"""Above any instant that a contract takes (years up to 9998), or a date far ahead, which stands for
"for ever" in many a system, would make anybody's word the person's own."""
_KEY_MASK = (1 << 60) - 1
"""CPython keeps an integer of 60 bits in 32 bytes, and one of 64 in 48."""

_KeyT = TypeVar("_KeyT", int, bytes)
_ValueT = TypeVar("_ValueT")


def rank_of_word(source: Source, occurred_ms: int) -> int:
    """A person's own word outranks any other; else the newer one counts."""
    return (_OWN if source == "user" else 0) | occurred_ms


def rank_of_device(occurred_ms: int, *, is_removal: bool) -> int:
    return occurred_ms << 1 | is_removal


def about(*whom: str | bytes) -> int:
    """The key of a fact about somebody, or something of theirs. Good within one process."""
    return hash(whom) & _KEY_MASK


def about_each(whose: Iterable[str], what: str | bytes) -> list[int]:
    """`about(somebody, what)` of each."""
    return [hash((somebody, what)) & _KEY_MASK for somebody in whose]


def fact(rank: int, came_ms: int, is_on: bool) -> int:
    return rank << _RANK_AT | came_ms << 1 | is_on


def came_ms(fact: int) -> int:
    return fact >> 1 & _CAME_MASK


def said_ms(fact: int) -> int:
    """Of a word, whoever's it is."""
    return fact >> _RANK_AT & (_OWN - 1)


def yields_to(old: int | None, rank: int) -> bool:
    """Whether a fact of this rank replaces what is held."""
    return old is None or rank >= old >> _RANK_AT


def is_news(fact: int, released_ms: int) -> bool:
    """Whether a decision made then may not have known it."""
    return released_ms < came_ms(fact) + SKEW_MS


def is_opt_out(choice: int, released_ms: int) -> bool:
    """Whether it stops what was decided then: it says off, and is the person's own or news."""
    return not choice & 1 and (bool(choice >> _RANK_AT & _OWN) or is_news(choice, released_ms))


def bar(
    table: dict[_KeyT, tuple[int, int]], key: _KeyT, said_ms: int, came_ms: int, until_ms: int
) -> None:
    """Note the end of a bar, if this is the latest word on it; `until_ms` 0 lifts it."""
    old = table.get(key)
    if yields_to(old[0] if old else None, said_ms):
        table[key] = (fact(said_ms, came_ms, until_ms > 0), until_ms)


def drop(table: dict[_KeyT, _ValueT], keys: list[_KeyT]) -> None:
    for key in keys:
        del table[key]
