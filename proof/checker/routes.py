"""How a user is reached of whom nothing was said that matters: one address, no wish against it."""

from dataclasses import dataclass

from proof.checker.instants import is_inside
from proof.checker.people import ADDRESS_FIELDS, People, Person
from proof.checker.rules import Kind, Rules


@dataclass(slots=True)
class Way:
    """A type by one of its channels, open to whoever said nothing, at any time."""

    kind: Kind
    channel: str
    matters: frozenset[str]
    """Of what users may say, what counts for it."""
    field: str
    """What is said of the address; "" in an inbox, and of a device."""
    night: str
    """What they call quiet hours of it; "" where none are kept."""


class Routes:
    def __init__(self, rules: Rules, people: People) -> None:
        self._people = people
        self._zone = rules.timezone
        self._ways = {
            (kind.name, channel): _way(kind, channel)
            for kind in rules.kinds.values()
            for channel in kind.channels
            if _is_open(rules, kind, channel)
        }

    def way(self, kind: str, channel: str) -> Way | None:
        """None where it is closed to some, whatever they say."""
        return self._ways.get((kind, channel))

    def address(self, way: Way, person: Person) -> str | None:
        """The only one ever, "" in an inbox; None where something was said that may matter."""
        words = person.words
        if person.deleted or not (way.matters.isdisjoint(words) or _are_yes(way, person)):
            return None
        if not way.field:
            return self._only_token(person) if way.channel == "push" else ""
        said = words.get(way.field, ())
        return said[0].value or None if len(said) == 1 else None

    def is_awake(self, way: Way, person: Person, at_ms: int) -> bool:
        """Whether it is known to be outside of quiet hours: the only ones ever."""
        spans = person.words.get(way.night)
        if spans is None:
            return True
        zones = person.of("timezone")
        if len(spans) > 1 or len(zones) > 1:
            return False
        zone = (zones[0].value if zones else "") or self._zone
        return not spans[0].value or not is_inside(at_ms, zone, spans[0].value)

    def _only_token(self, person: Person) -> str | None:
        abouts = person.devices()
        words = person.of(abouts[0]) if len(abouts) == 1 else ()
        if len(words) != 1 or len(self._people.holders(words[0].value)) > 1:
            return None
        return words[0].value or None


def _are_yes(way: Way, person: Person) -> bool:
    """Whether they said only what holds for whoever said nothing: a bar is never that."""
    return all(
        each.value is True
        for about in way.matters.intersection(person.words)
        for each in person.of(about)
    )


def _is_open(rules: Rules, kind: Kind, channel: str) -> bool:
    category = kind.category
    if category.legal_windows and channel in rules.legal_channels:
        return False
    return category.mandatory or rules.is_on_by_default(category.name, channel)


def _way(kind: Kind, channel: str) -> Way:
    wishes = () if kind.category.mandatory else (f"{channel}.enabled", f"types.{kind.name}")
    night = f"{channel}.quiet_hours" if kind.category.quiet_hours else ""
    matters = frozenset((f"bar:{channel}", *wishes))
    return Way(kind, channel, matters, ADDRESS_FIELDS.get(channel, ""), night)
