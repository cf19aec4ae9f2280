"""`Background`: what is the same whoever is judged: what became known of people, what was held back."""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from proof.checker.buried import buried_in
from proof.checker.cases import Delivery
from proof.checker.evidence import Change, Evidence, Refusal
from proof.checker.hindrances import Calls, Hindrances
from proof.checker.members import Members
from proof.checker.oracle import Oracle
from proof.checker.pauses import Pauses
from proof.checker.people import People
from proof.checker.plain import Plain


class Background:
    """Made once for all parts of the users that are judged one after the other."""

    def __init__(
        self,
        found: Evidence,
        changes: Iterable[Change],
        calls: Calls,
        part_of: Callable[[str], int] = lambda _: 0,
        parts: Container[int] = (0,),
    ) -> None:
        """`part_of` says by whose part a user is judged, `parts` which of them are judged here."""
        self.people = People(changes, lambda user_id: part_of(user_id) in parts)
        self.oracle = Oracle(found, self.people)
        self.pauses = Pauses(found)
        self.hindrances = Hindrances(found, self.pauses, calls)
        self.members = Members(found, self.people, self.oracle, part_of)
        self.refusals_of = _by_delivery(found.refusals)
        self.plain = Plain(
            found.rules,
            self.people,
            self.oracle,
            self.members,
            self.pauses,
            self.refusals_of.keys(),
        )
        self.buried = buried_in(found.letters)
        self.first_of: dict[str, Delivery] = {}
        """By notification, the first that was told of it, in whichever part."""


def _by_delivery(refusals: Iterable[Refusal]) -> Mapping[str, Sequence[tuple[str, Refusal]]]:
    """Those from which something follows, each with the address that it was about."""
    found: defaultdict[str, list[tuple[str, Refusal]]] = defaultdict(list)
    for refusal in refusals:
        if refusal.binds:
            for one, address in zip(refusal.delivery_ids, refusal.addresses, strict=True):
                found[one].append((address, refusal))
    return found
