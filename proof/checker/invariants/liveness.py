"""L8, liveness: all comes to rest within its bound; what cannot be read is a dead letter, once."""

from collections import Counter
from collections.abc import Iterator

from proof.checker.evidence import Evidence, Letter, Rubbish
from proof.checker.verdict import Violation


def liveness(found: Evidence, left: tuple[str, ...]) -> Iterator[Violation]:
    """Of everything: no user is asked about. `left`: ids of some that have no end, or several."""
    if not found.circumstances.is_at_rest:
        words = "not all had come to rest when the time for it was over"
        yield Violation("L8", words, left)
    rubbish = {_place(each) for each in found.rubbish}
    letters = Counter(_place(each) for each in found.letters if each.kind == "record")
    for place in rubbish - letters.keys():
        yield Violation("L8", "rubbish without a dead letter", (place,))
    for place, count in letters.items():
        if place not in rubbish:
            yield Violation("L8", "a dead letter of a good record", (place,))
        if count > 1:
            yield Violation("L8", f"{count} dead letters of one record", (place,))
    for each in found.letters:
        if not each.cause:
            yield Violation("L8", "a dead letter without a cause", (_place(each),))


def _place(each: Rubbish | Letter) -> str:
    place = f"{each.topic}:{each.partition}:{each.offset}"
    return place if each.part < 0 else f"{place}:{each.part}"
