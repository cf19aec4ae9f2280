"""Who was meant by a broadcast, as far as that can be known."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from proof.checker.evidence import Evidence, Request
from proof.checker.oracle import Oracle
from proof.checker.people import People, possible

Parts = Mapping[int, list[str]]
"""Users by the part in which they are judged."""
_NOBODY: Parts = {}


class Members:
    def __init__(
        self, found: Evidence, people: People, oracle: Oracle, part_of: Callable[[str], int]
    ) -> None:
        self._people = people
        self._oracle = oracle
        self._ended_ms = found.circumstances.ended_ms
        self._part_of = part_of
        self._named = {each.number: frozenset(each.said.user_ids) for each in found.broadcasts}
        self._named_in_parts: dict[int, Parts] = {}
        self._known_in_parts = _NOBODY

    def of(self, broadcast: Request, user_id: str) -> set[bool]:
        """Whether the user was meant: both, if that changed while it was expanded."""
        said = broadcast.said
        if said.user_ids:
            return {user_id in self._named[broadcast.number]}
        person = self._people.of(user_id)
        known_ms = self._oracle.known_ms(broadcast.at_ms)
        prompt_ms = self._oracle.prompt_ms(user_id, broadcast.at_ms)
        words = person.of(f"member:{said.audience}")
        found = {
            bool(each) for each in possible(words, known_ms, self._ended_ms, prompt_ms=prompt_ms)
        }
        return found | {False} if person.deleted else found

    def is_certain(self, broadcast: Request, user_id: str) -> bool:
        if broadcast.said.user_ids:
            return user_id in self._named[broadcast.number]
        return self.of(broadcast, user_id) == {True}

    def certain(self, broadcast: Request, part: int) -> Iterator[str]:
        """Those of the users of this part who were meant whenever it was expanded."""
        for user_id in self._asked_about(broadcast, part):
            if self.is_certain(broadcast, user_id):
                yield user_id

    def perhaps(self, broadcast: Request, part: int) -> Iterator[str]:
        """Likewise, those who may have been."""
        for user_id in self._asked_about(broadcast, part):
            if True in self.of(broadcast, user_id):
                yield user_id

    def _asked_about(self, broadcast: Request, part: int) -> Iterable[str]:
        """Those who are named, or everybody."""
        if broadcast.said.user_ids:
            named = self._named_in_parts.get(broadcast.number)
            if named is None:
                named = self._in_parts(broadcast.said.user_ids)
                self._named_in_parts[broadcast.number] = named
            return named.get(part, ())
        if self._known_in_parts is _NOBODY:
            self._known_in_parts = self._in_parts(self._people.users())
        return self._known_in_parts.get(part, ())

    def _in_parts(self, users: Iterable[str]) -> Parts:
        """Made once: to ask each part whether somebody is in it takes longer than to judge them."""
        found: defaultdict[int, list[str]] = defaultdict(list)
        for user_id in users:
            found[self._part_of(user_id)].append(user_id)
        return dict(found)
