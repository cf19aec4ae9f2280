"""What people are shown in a proof: the number of the request, wherever a template has a place; or
what the request says itself."""

import zlib
from collections.abc import Iterable

from proof.checker.evidence import Asked
from proof.checker.people import Person


def is_right(said: Asked, channel: str, person: Person, body_hash: int) -> bool:
    """Whether it is what was asked for, in a language that was ever theirs."""
    if not said.contents:
        return body_hash == hash_of(channel, said.data.number)
    locales = [each.value or "" for each in person.of("locale")] or [""]
    return any(body_hash == said.contents.get(each, said.contents.get("")) for each in locales)


def hash_of(channel: str, number: str) -> int:
    """Of a message that shows the number: as subject and text, title and body, or text of an SMS."""
    content = number.encode()
    found = zlib.crc32(content)
    return found if channel == "sms" else zlib.crc32(content, found)


def hash_of_places(places: Iterable[str]) -> int:
    """As the sandbox writes down what it accepted."""
    found = 0
    for place in places:
        found = zlib.crc32(place.encode(), found)
    return found
