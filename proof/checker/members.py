"""Who was meant by a broadcast, as far as that can be known."""

from collections.abc import Iterator

from proof.checker.evidence import Evidence, Request
from proof.checker.oracle import Oracle
from proof.checker.people import People, possible


class Members:
    def __init__(self, found: Evidence, people: People, oracle: Oracle) -> None:
        self._people = people
        self._oracle = oracle
        self._ended_ms = found.circumstances.ended_ms
        self._is_ours = found.is_ours
        self._named = {each.number: frozenset(each.said.user_ids) for each in found.broadcasts}

    def of(self, broadcast: Request, user_id: str) -> set[bool]:
        """Whether the user was meant: both, if that changed while it was expanded."""
        said = broadcast.said
        if said.user_ids:
            return {user_id in self._named[broadcast.number]}
        person = self._people.of(user_id)
        known_ms = self._oracle.known_ms(broadcast.at_ms)
        words = person.of(f"member:{said.audience}")
        found = {bool(each) for each in possible(words, known_ms, self._ended_ms)}
        return found | {False} if person.deleted else found

    def is_certain(self, broadcast: Request, user_id: str) -> bool:
        return self.of(broadcast, user_id) == {True}

    def certain(self, broadcast: Request) -> Iterator[str]:
        """Those of our users who were meant whenever it was expanded."""
        is_ours = self._is_ours
        for user_id in broadcast.said.user_ids or self._people.users():
            if (is_ours is None or is_ours(user_id)) and self.is_certain(broadcast, user_id):
                yield user_id
