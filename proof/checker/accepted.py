"""What providers took, by delivery: all of a ledger, since a line of it does not tell whose it is."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from itertools import count
from typing import NamedTuple

from proof.checker.evidence import Accept
from sandbox.ledger import Line


class _Call(NamedTuple):
    at_ms: int
    provider: str
    round: int
    attempt: int


class Accepted:
    """In columns, a message a place: most are never asked about, in another part of the users."""

    def __init__(self, calls: Iterable[Line]) -> None:
        self._calls: list[_Call] = []
        self._call_of: list[int] = []
        self._ids: list[str] = []
        self._addresses: list[str] = []
        self._hashes: list[int] = []
        for number, line in enumerate(calls):
            self._calls.append(_Call(line.at_ms, line.provider, line.round, line.attempt))
            self._call_of += [number] * len(line.delivery_ids)
            self._ids += line.delivery_ids
            self._addresses += line.addresses
            self._hashes += line.body_hashes
        if not len(self._ids) == len(self._addresses) == len(self._hashes):
            raise ValueError("the columns of a ledger are not of one length")
        self._places = dict(zip(self._ids, count(), strict=False))
        self._earlier = self._find_earlier()

    def of(self, delivery_id: str) -> list[Accept]:
        """In the order they were taken."""
        last = self._places.get(delivery_id)
        if last is None:
            return []
        if self._earlier and delivery_id in self._earlier:
            return [self._at(place) for place in (*self._earlier[delivery_id], last)]
        return [self._at(last)]

    def claimed_by(self, delivery_ids: Set[str]) -> bytes:
        """Of each delivery that was taken, in the order of the ledger, whether it is one of these."""
        return bytes(map(delivery_ids.__contains__, self._places))

    def unclaimed(self, claimed: bytes) -> Iterator[Accept]:
        """What was taken of the deliveries that are not claimed."""
        for delivery_id, is_claimed in zip(self._places, claimed, strict=False):
            if not is_claimed:
                yield from self.of(delivery_id)

    def times(self) -> dict[str, list[int]]:
        """When each provider was called."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for call in self._calls:
            found[call.provider].append(call.at_ms)
        return found

    def _find_earlier(self) -> dict[str, list[int]]:
        """The places of what was taken again, but for the last."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        if len(self._places) < len(self._ids):
            for place, delivery_id in enumerate(self._ids):
                if self._places[delivery_id] != place:
                    found[delivery_id].append(place)
        return dict(found)

    def _at(self, place: int) -> Accept:
        number = self._call_of[place]
        at_ms, provider, round_, attempt = self._calls[number]
        return Accept(
            at_ms, number, provider, provider, self._ids[place],
            self._addresses[place], self._hashes[place], round_, attempt,
        )  # fmt: skip
