"""L1 of what expired: not before its time, and not while nothing kept it from going out."""

from collections.abc import Iterator

from proof.checker.evidence import Receipt
from proof.checker.hearing import Hearing
from proof.checker.instants import ms_of
from proof.checker.oracle import SLACK_MS, expires_ms
from proof.checker.verdict import Violation

_UNHINDERED_MS = 60_000
"""A delivery that is queued, and that nothing hinders, is on its way long before."""


def expiries(hearing: Hearing) -> Iterator[Violation]:
    for delivery in hearing.others:
        ends = [
            each for each in delivery.ends() if (each.status, each.reason) == ("expired", "ttl")
        ]
        if not ends:
            continue
        matter, hindrances = hearing.matter_of(delivery), hearing.background.hindrances
        channel, controls = delivery.channel, hearing.controls_of(delivery)
        expiry_ms = expires_ms(matter.said, matter.at_ms, matter.kind)
        for end in ends:
            told_ms = ms_of(end.occurred_at)
            # Only whoever waits for a provider's rate can tell beforehand that it will be too late.
            is_early = told_ms < expiry_ms - SLACK_MS
            if is_early and not hindrances.is_in_line(channel, told_ms, expiry_ms):
                words = f"expired {expiry_ms - told_ms} ms before its time"
                yield Violation("L1", words, delivery.ids)
        queued_ms = _queued_ms(delivery.receipts)
        if queued_ms is None or expiry_ms - queued_ms < _UNHINDERED_MS:
            continue
        if not hindrances.any_for(channel, controls, queued_ms, expiry_ms):
            words = (
                f"expired {expiry_ms - queued_ms} ms after it was queued, and nothing hindered it"
            )
            yield Violation("L1", words, delivery.ids)


def _queued_ms(receipts: tuple[Receipt, ...]) -> int | None:
    """When it was handed to its sender, if no more was told of it before its end."""
    told = [each for each in receipts if not each.is_end and each.reason != "scheduled"]
    return ms_of(told[0].occurred_at) if [each.status for each in told] == ["queued"] else None
