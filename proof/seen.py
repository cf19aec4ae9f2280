"""`Seen`: what the evidence of one round says of the round itself: that a fault was there to be felt."""

from collections.abc import Iterator, Set
from pathlib import Path

from proof.checker import ledgers
from proof.checker.evidence import CHANNELS, Broadcast, Receipt, Request, Rubbish
from proof.checker.instants import ms_of

_SECOND_MS = 1_000
_OPT_OUTS = ("opted_out_channel", "opted_out_type")


class Seen:
    """Of what was acknowledged, accepted or told since an instant."""

    def __init__(self, folder: Path, since_ms: int) -> None:
        self._folder = folder
        self._since_ms = since_ms

    def requests(self) -> list[Request]:
        """Single ones."""
        shards = range(ledgers.SHARDS)
        found = (each for shard in shards for each in ledgers.requests_in(self._folder, shard))
        return [each for each in found if each.at_ms >= self._since_ms]

    def broadcasts(self) -> list[Broadcast]:
        found = ledgers.read(self._folder).broadcasts
        return [each for each in found if each.at_ms >= self._since_ms]

    def rubbish(self) -> list[Rubbish]:
        found = ledgers.read(self._folder).rubbish
        return [each for each in found if each.at_ms >= self._since_ms]

    def overtaken(self) -> list[Receipt]:
        """Of deliveries that were on their way when their user opted out: what stopped them."""
        queued, stopped = set[str](), list[Receipt]()
        for each in self._deliveries(set(CHANNELS)):
            if ms_of(each.occurred_at) >= self._since_ms:
                if each.status == "queued":
                    queued.add(each.delivery_id)
                elif each.reason in _OPT_OUTS:
                    stopped.append(each)
        return [each for each in stopped if each.delivery_id in queued]

    def deferred(self, reason: str, channels: Set[str] = frozenset(CHANNELS)) -> int:
        """Attempts that were put off for this reason."""
        return sum(
            each.status == "deferred"
            and each.reason == reason
            and ms_of(each.occurred_at) >= self._since_ms
            for each in self._deliveries(channels)
        )

    def busiest_second(self, provider: str) -> int:
        """The most requests that it accepted within any second."""
        at = [
            call.at_ms
            for call in ledgers.calls_in(self._folder)
            if call.provider == provider and call.at_ms >= self._since_ms
        ]
        most = first = 0
        for last, at_ms in enumerate(at):
            while at_ms - at[first] >= _SECOND_MS:
                first += 1
            most = max(most, last + 1 - first)
        return most

    def largest_request(self, provider: str) -> int:
        """The most messages that it accepted with one."""
        return max(
            (
                len(call.delivery_ids)
                for call in ledgers.calls_in(self._folder)
                if call.provider == provider and call.at_ms >= self._since_ms
            ),
            default=0,
        )

    def waits_ms(self, channels: Set[str], from_ms: int, until_ms: int) -> list[int]:
        """Of deliveries that were decided for in this span and that nothing deferred: until their
        first end."""
        queued: dict[str, int] = {}
        ended: dict[str, int] = {}
        deferred: set[str] = set()
        for each in self._deliveries(channels):
            at_ms = ms_of(each.occurred_at)
            if each.status == "queued":
                queued[each.delivery_id] = at_ms
            elif each.status == "deferred":
                deferred.add(each.delivery_id)
            elif each.is_end:
                ended[each.delivery_id] = min(at_ms, ended.get(each.delivery_id, at_ms))
        return [
            ended[delivery_id] - at_ms
            for delivery_id, at_ms in queued.items()
            if from_ms <= at_ms <= until_ms and delivery_id in ended and delivery_id not in deferred
        ]

    def _deliveries(self, channels: Set[str]) -> Iterator[Receipt]:
        for shard in range(ledgers.SHARDS):
            for each in ledgers.receipts_in(self._folder, shard):
                if each.kind == "delivery" and each.channel in channels:
                    yield each
