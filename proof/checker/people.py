"""What was said of whom, when and by whom; and what may have been known of it at a time."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from proof.checker.evidence import Change, Said
from proof.checker.instants import ms_of

FOR_EVER_MS = 1 << 60
ADDRESS_FIELDS = {"email": "email", "sms": "phone"}


class Word(NamedTuple):
    """A value of one thing. The higher rank counts: a person's own word, then the newer one. An address
    that was told since they were deleted counts before either."""

    rank: tuple[int, ...]
    came_ms: int
    value: Any
    is_tailed: bool = True
    source: int | str = 0
    """Words of one rank count in the order in which they came only where they came from one source:
    a partition, or of a phone its user."""
    is_prompt: bool = False
    """Whoever decides knows it sooner than the others."""


Words = Sequence[Word]
NO_WORDS: Words = ()


def last(words: Words, at_ms: int) -> Word | None:
    """The word that counts of those that had come; of two that are alike in all but what they say,
    the one that was written later."""
    return max(
        (each for each in reversed(words) if each.came_ms <= at_ms),
        key=_order,
        default=None,
    )


def _order(word: Word) -> tuple[tuple[int, ...], int]:
    return word.rank, word.came_ms


def possible(
    words: Words, from_ms: int, until_ms: int, unsaid: Any = None, *, prompt_ms: int = 0
) -> list[Any]:
    """Every value that it may have had at some time in the span, as far as readers can know. Of words
    of one rank from two sources each may be the last: nobody has promised an order there. What is
    prompt was known from `prompt_ms` on, if that is later than the span begins."""
    if not words:
        return [unsaid]
    before = last([each for each in words if each.is_prompt], prompt_ms) if prompt_ms else None
    earlier = last(words, from_ms)
    if before is None or (earlier is not None and _order(earlier) >= _order(before)):
        before = earlier
    values = [before.value if before else unsaid]
    for each in words:
        known_ms = max(from_ms, prompt_ms) if each.is_prompt else from_ms
        is_news = known_ms < each.came_ms and (before is None or each.rank >= before.rank)
        if each.came_ms <= until_ms and (is_news or _is_beside(each, before)):
            values.append(each.value)
    return values


def _is_beside(word: Word, other: Word | None) -> bool:
    return other is not None and word.rank == other.rank and word.source != other.source


class Person:
    """All words about one user, by what they are about: `email`, `push.enabled`, `types.offer`,
    `device:phone`, `member:news`, `bar:email`."""

    __slots__ = ("deleted", "last_ms", "meant_ms", "spoken_of_ms", "tokens", "words")

    def __init__(self) -> None:
        self.words: dict[str, list[Word]] = {}
        self.tokens: dict[str, str] = {}
        """To device ids, whenever the user had them."""
        self.deleted: list[Word] = []
        self.last_ms = 0
        """When the last word came."""
        self.spoken_of_ms = 0
        """Likewise, but that they are to be deleted."""
        self.meant_ms = 0
        """The latest instant that such a word says it is of."""

    def of(self, about: str) -> Words:
        return self.words.get(about, NO_WORDS)

    def lasting(self, about: str) -> Words:
        """What outlives their deletion: their own wishes, and what was said since."""
        words = self.of(about)
        if not self.deleted:
            return words
        deleted = max(each.rank for each in self.deleted)
        return [each for each in words if each.rank[0] or (False, *each.rank[1:]) > deleted]

    @property
    def gone_ms(self) -> int | None:
        """When they were deleted, if nobody spoke of them after it, nor of a later instant before."""
        came_ms = max((each.came_ms for each in self.deleted), default=0)
        if came_ms <= self.spoken_of_ms:
            return None
        return came_ms if max(self.deleted, key=_order).rank >= (False, self.meant_ms) else None

    def has_moved_since(self, channel: str, occurred_ms: int) -> bool:
        """Whether they have another address by now than they had then."""
        words = self.of(ADDRESS_FIELDS.get(channel, ""))
        then = last([each for each in words if each.rank[-1] <= occurred_ms], FOR_EVER_MS)
        now = last(words, FOR_EVER_MS)
        return now is not None and bool(now.value) and (then is None or then.value != now.value)

    def devices(self) -> list[str]:
        """What tokens are said about."""
        return [about for about in self.words if about.startswith("device:")]

    def addresses(self, channel: str) -> list[str]:
        """What addresses of a channel are said about."""
        if channel == "push":
            return self.devices()
        return [ADDRESS_FIELDS[channel]] if channel in ADDRESS_FIELDS else []


STRANGER = Person()
"""Of whom nothing was ever said."""


class People:
    def __init__(
        self, changes: Iterable[Change], is_ours: Callable[[str], bool] = lambda _: True
    ) -> None:
        """Of the users who are ours; a phone may have come from any other."""
        self._people: defaultdict[str, Person] = defaultdict(Person)
        self._holders: defaultdict[str, list[Word]] = defaultdict(list)
        self.with_limits: set[str] = set()
        """Users who ever said how often they want to be reached."""
        for change in changes:
            said = change.said
            if said.change == "device_registered" or is_ours(said.user_id):
                self._note(change)

    def of(self, user_id: str) -> Person:
        return self._people.get(user_id, STRANGER)

    def holders(self, token: str) -> Words:
        """Who registered it; the later one has it, and of one instant any."""
        return self._holders.get(token, NO_WORDS)

    def users(self) -> Mapping[str, Person]:
        return self._people

    def _note(self, change: Change) -> None:
        said, came_ms = change.said, change.at_ms
        person = self._people[said.user_id]
        person.last_ms = max(person.last_ms, came_ms)
        occurred_ms = ms_of(said.occurred_at)
        rank = (said.source == "user", occurred_ms)
        plain = (False, occurred_ms)  # of devices and bars only the time counts

        def note(about: str, value: Any, rank: tuple[int, ...] = rank) -> None:
            words = person.words.setdefault(about, [])
            # A bar is heard of by way of the address, whoever has it.
            is_prompt = change.is_prompt and not about.startswith("bar:")
            words.append(Word(rank, came_ms, value, change.is_tailed, change.partition, is_prompt))

        match said.change:
            case "recipient_updated":
                deletions = sum(each.rank < plain for each in person.deleted)
                for field in ADDRESS_FIELDS.values():
                    value = getattr(said, field)
                    if value is not msgspec.UNSET:
                        note(field, value or "", (deletions, *rank))
                if said.timezone is not msgspec.UNSET:
                    note("timezone", said.timezone or "")
                if said.locale is not msgspec.UNSET:
                    note("locale", said.locale or "")
            case "preferences_updated":
                for about, value in _wishes(said):
                    note(about, value)
                    if about.endswith(".daily_limit"):
                        self.with_limits.add(said.user_id)
            case "device_registered":
                note(f"device:{said.device_id}", said.token, plain)
                person.tokens[said.token] = said.device_id
                word = Word(plain, came_ms, said.user_id, source=said.user_id)
                self._holders[said.token].append(word)
            case "device_removed":
                note(f"device:{said.device_id}", "", plain)
            case "audience_joined" | "audience_left":
                note(f"member:{said.audience}", said.change == "audience_joined")
            case "address_suppressed" | "address_released" if person.has_moved_since(
                said.channel, occurred_ms
            ):
                pass  # it is on the address of before
            case "address_suppressed":
                until_ms = ms_of(said.until) if said.until else FOR_EVER_MS
                note(f"bar:{said.channel}", until_ms, plain)
            case "address_released":
                note(f"bar:{said.channel}", 0, plain)
            case "recipient_deleted":
                person.deleted.append(Word(plain, came_ms, True))
                return
            case _:
                raise ValueError(f"no change is called {said.change!r}")
        person.spoken_of_ms = max(person.spoken_of_ms, came_ms)
        person.meant_ms = max(person.meant_ms, occurred_ms)


def _wishes(said: Said) -> Iterable[tuple[str, Any]]:
    for channel, wish in said.preferences.by_channel():
        for field in ("enabled", "quiet_hours", "daily_limit"):
            value = getattr(wish, field)
            if value is not msgspec.UNSET:
                yield f"{channel}.{field}", value
    for name, enabled in said.preferences.types.items():
        yield f"types.{name}", enabled
