"""L2 of when: nothing goes out before it was asked for, nor after it has expired."""

from collections.abc import Iterator

from proof.checker.hearing import Hearing
from proof.checker.oracle import SLACK_MS, expires_ms, send_ms
from proof.checker.verdict import Violation


def times(hearing: Hearing) -> Iterator[Violation]:
    circumstances = hearing.circumstances
    early_ms = SLACK_MS + circumstances.askew_ms
    late_ms = early_ms + circumstances.stop_ms  # a call that was let go may be under way so long
    for delivery in hearing.others:
        matter = hearing.matter_of(delivery)
        asked_ms = max(matter.at_ms, send_ms(matter.said))
        expiry_ms = expires_ms(matter.said, matter.at_ms, matter.kind)
        for at_ms, _ in hearing.moments(delivery):
            if at_ms < asked_ms - early_ms:
                words = f"reached {asked_ms - at_ms} ms before it was to be sent"
                yield Violation("L2", words, delivery.ids)
            if at_ms > expiry_ms + late_ms:
                words = f"reached {at_ms - expiry_ms} ms after it had expired"
                yield Violation("L2", words, delivery.ids)
