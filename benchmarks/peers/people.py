"""The people of the other benchmarks, as rows that a peer would keep of them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from benchmarks.peers.workers.work import Recipient, encode
from benchmarks.whole.lab import PARTITIONS
from benchmarks.whole.people import recipient, user_id
from schemas import ids

SLICE = 1000
"""As many members as the provider takes with a request."""


def rows(people: int) -> Iterator[tuple[str, bytes]]:
    """User ids with what is known of them."""
    for number in range(people):
        known = recipient(number)
        wish = known.wishes[0]
        quiet_from, quiet_until = map(_minute, wish.quiet_hours.split("-"))
        row = Recipient(
            known.user_id, known.email, known.locale, known.timezone, bool(wish.enabled),
            known.types, quiet_from, quiet_until, wish.daily_limit or 0,
        )  # fmt: skip
        yield known.user_id, encode(row)


def slices(people: int) -> Iterator[tuple[int, Sequence[str]]]:
    """All members, in slices of one partition each, which is told first."""
    waiting: defaultdict[int, list[str]] = defaultdict(list)
    for number in range(people):
        user = user_id(number)
        partition = partition_of(user)
        waiting[partition].append(user)
        if len(waiting[partition]) == SLICE:
            yield partition, waiting.pop(partition)
    yield from waiting.items()


def partition_of(user: str) -> int:
    return ids.partition_of(user, PARTITIONS)


def _minute(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)
