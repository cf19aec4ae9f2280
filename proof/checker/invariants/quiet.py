"""L6, quiet hours: nobody is reached inside their own, or the law's, whatever the clocks do."""

from collections.abc import Iterator

from proof.checker.hearing import Hearing
from proof.checker.oracle import SLACK_MS
from proof.checker.verdict import Violation


def quiet(hearing: Hearing) -> Iterator[Violation]:
    for delivery in hearing.others:
        kind = hearing.kind_of(delivery)
        if kind is None or not (kind.category.quiet_hours or kind.category.legal_windows):
            continue
        for at_ms, _ in hearing.moments(delivery):
            # What is known of a wish when it is decided goes along with the delivery.
            matter = hearing.matter_of(delivery)._replace(until_ms=at_ms)
            if not hearing.oracle.may_be_awake(matter, (at_ms - SLACK_MS, at_ms)):
                yield Violation("L6", f"reached at {at_ms}, in quiet hours", delivery.ids)
