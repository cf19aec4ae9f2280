"""L8, liveness: all comes to rest within its bound; what cannot be read is a dead letter, once."""

from collections import Counter
from collections.abc import Iterator

from proof.checker.evidence import Evidence
from proof.checker.verdict import Violation


def liveness(found: Evidence) -> Iterator[Violation]:
    """Of everything: no user is asked about."""
    if not found.circumstances.is_at_rest:
        yield Violation("L8", "not all had come to rest when the time for it was over")
    rubbish = {(each.topic, each.partition, each.offset) for each in found.rubbish}
    letters = Counter(
        (each.topic, each.partition, each.offset) for each in found.letters if each.kind == "record"
    )
    for topic, partition, offset in rubbish - letters.keys():
        place = f"{topic}:{partition}:{offset}"
        yield Violation("L8", "rubbish without a dead letter", (place,))
    for (topic, partition, offset), count in letters.items():
        place = f"{topic}:{partition}:{offset}"
        if (topic, partition, offset) not in rubbish:
            yield Violation("L8", "a dead letter of a good record", (place,))
        if count > 1:
            yield Violation("L8", f"{count} dead letters of one record", (place,))
