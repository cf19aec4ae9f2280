"""What providers took, brought to its deliveries: a line of a ledger does not tell whose it is."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping

from proof.checker.cases import Delivery
from proof.checker.evidence import Accept, Call, Refusal


class Accepted:
    """A ledger is read once, and only what is of these deliveries is kept of it: there are millions
    more, of users who are judged elsewhere."""

    def __init__(
        self,
        calls: Iterable[Call],
        refusals: Iterable[Refusal],
        deliveries: Mapping[str, Delivery],
    ) -> None:
        self.claimed = bytearray()
        """Of each message in the order of the ledger, whether it is of one of these."""
        self.times: defaultdict[str, list[int]] = defaultdict(list)
        """When each provider was called, whatever it answered."""
        for refusal in refusals:
            self.times[refusal.provider].append(refusal.at_ms)
        find, claim, times = deliveries.get, self.claimed.append, self.times
        for number, line in enumerate(calls):
            times[line.provider].append(line.at_ms)
            for place, delivery_id in enumerate(line.delivery_ids):
                delivery = find(delivery_id)
                claim(delivery is not None)
                if delivery is not None:
                    delivery.accepts += (message(number, line, place, delivery.id),)


def message(number: int, line: Call, place: int, delivery_id: str) -> Accept:
    """The one at this place of the line, which is the `number`th of its ledger. There are millions, so
    they share what is said alike."""
    provider = sys.intern(line.provider)
    return Accept(
        line.at_ms,
        number,
        provider,
        provider,
        delivery_id,
        line.addresses[place],
        line.body_hashes[place],
        line.round,
        line.attempt,
    )
