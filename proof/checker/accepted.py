"""What providers took, by delivery: all of a ledger, since a line of it does not tell whose it is."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set

from proof.checker.evidence import Accept, Refusal
from sandbox.ledger import Line


class Accepted:
    def __init__(self, calls: Iterable[Line], refusals: Iterable[Refusal] = ()) -> None:
        self._first: dict[str, Accept] = {}
        self._again: defaultdict[str, list[Accept]] = defaultdict(list)
        """What was taken more than once, but for the first time."""
        self.times: defaultdict[str, list[int]] = defaultdict(list)
        """When each provider was called, whatever it answered."""
        for refusal in refusals:
            self.times[refusal.provider].append(refusal.at_ms)
        first, again = self._first, self._again
        for number, line in enumerate(calls):
            at_ms, provider, round_, attempt = line.at_ms, line.provider, line.round, line.attempt
            self.times[provider].append(at_ms)
            columns = zip(line.delivery_ids, line.addresses, line.body_hashes, strict=True)
            for delivery_id, address, body_hash in columns:
                accept = Accept(
                    at_ms, number, provider, provider, delivery_id, address, body_hash,
                    round_, attempt,
                )  # fmt: skip
                if first.setdefault(delivery_id, accept) is not accept:
                    again[delivery_id].append(accept)

    def of(self, delivery_id: str) -> Sequence[Accept]:
        """In the order they were taken."""
        first = self._first.get(delivery_id)
        if first is None:
            return ()
        return (first, *self._again[delivery_id]) if delivery_id in self._again else (first,)

    def claimed_by(self, delivery_ids: Set[str]) -> bytes:
        """Of each delivery that was taken, in the order of the ledger, whether it is one of these."""
        return bytes(map(delivery_ids.__contains__, self._first))

    def unclaimed(self, claimed: bytes) -> Iterator[Accept]:
        """What was taken of the deliveries that are not claimed."""
        for delivery_id, is_claimed in zip(self._first, claimed, strict=False):
            if not is_claimed:
                yield from self.of(delivery_id)
