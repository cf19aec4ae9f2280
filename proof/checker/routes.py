"""How a user is reached of whom nothing was said that matters: one address, no wish against it."""

from dataclasses import dataclass

from proof.checker.people import ADDRESS_FIELDS, People, Person
from proof.checker.rules import Kind, Rules


@dataclass(slots=True)
class Route:
    """To one user, by a channel of a type."""

    kind: Kind
    channel: str
    address: str
    """The only one ever; "" in an inbox."""
    device_id: str
    last_ms: int
    """When the last word of the user came."""
    quiet_hours: str
    """The only ones ever; "" where there are none, or the type keeps none."""
    zone: str


@dataclass(slots=True)
class _Way:
    """A type by one of its channels, open to whoever said nothing, at any time."""

    kind: Kind
    matters: frozenset[str]
    """Of what users may say, what counts for it."""
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
        self._found: dict[tuple[str, str, str], Route | None] = {}
        """Looked for once for a user's many deliveries of a type by a channel."""

    def of(self, user_id: str, kind: str, channel: str) -> Route | None:
        """None where something was said that may matter."""
        key = user_id, kind, channel
        route = self._found.get(key)
        if route is None and key not in self._found:
            way = self._ways.get((kind, channel))
            route = self._find(self._people.of(user_id), way, channel) if way else None
            self._found[key] = route
        return route

    def _find(self, person: Person, way: _Way, channel: str) -> Route | None:
        words = person.words
        if person.deleted or not way.matters.isdisjoint(words):
            return None
        address = self._only_address(person, channel)
        if address is None:
            return None
        device_id = person.tokens.get(address, "") if channel == "push" else ""
        hours, zone = "", self._zone
        if way.night in words:
            spans, zones = words[way.night], person.of("timezone")
            if len(spans) > 1 or len(zones) > 1:
                return None
            hours = spans[0].value or ""
            zone = (zones[0].value if zones else "") or zone
        return Route(way.kind, channel, address, device_id, person.last_ms, hours, zone)

    def _only_address(self, person: Person, channel: str) -> str | None:
        if channel == "in_app":
            return ""
        if channel != "push":
            words = person.of(ADDRESS_FIELDS[channel])
            return words[0].value or None if len(words) == 1 else None
        abouts = person.devices()
        words = person.of(abouts[0]) if len(abouts) == 1 else ()
        if len(words) != 1 or len(self._people.holders(words[0].value)) > 1:
            return None
        return words[0].value or None


def _is_open(rules: Rules, kind: Kind, channel: str) -> bool:
    category = kind.category
    if category.legal_windows and channel in rules.legal_channels:
        return False
    return category.mandatory or rules.is_on_by_default(category.name, channel)


def _way(kind: Kind, channel: str) -> _Way:
    wishes = () if kind.category.mandatory else (f"{channel}.enabled", f"types.{kind.name}")
    night = f"{channel}.quiet_hours" if kind.category.quiet_hours else ""
    return _Way(kind, frozenset((f"bar:{channel}", *wishes)), night)
