"""`Dispatch`: what follows from verdicts, gathered for one yield of a deciding stage.

Deliveries, receipts, waiting rows and caps that belong to one verdict are one transaction, so
that none of them can be without the others.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import compress, groupby
from operator import attrgetter
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from agents.facts import Fact
from agents.outgoing import Notice, Outgoing, Part
from agents.receipts import ReceiptWriter, Told
from agents.stage import Batch
from policies.admission import Admission, Case, Ruling
from policies.caps import NOTHING, Caps
from policies.reasons import Reason
from policies.rules import Rules
from policies.stops import is_about, next_look_ms
from policies.verdicts import Defer, Deliver
from schemas import ids
from schemas.delivery import Body, Channel, Target
from schemas.kafka import Record
from schemas.profile import Profile
from schemas.receipt import Status
from tables import caps, waiting
from tables.state import Row
from tables.waiting import Waiter, Waiting

Reached = tuple[str, bytes, str]
"""An address, its hash, and the device's id."""
_ACCEPTED_MS = attrgetter("notice.body.accepted_ms")
_INBOX: Sequence[Reached] = (("", b"", ""),)


class SmsSender(NamedTuple):
    """A number or short code that messages go out from, and the partition that paces it."""

    sender_id: str
    partition: int


class DispatchTerms:
    """What all deciding stages of a process go by."""

    def __init__(
        self,
        *,
        rules: Rules,
        partitions: int,
        address_key: bytes,
        sms_senders: Sequence[str],
        cancelled: Callable[[Iterable[bytes]], Mapping[bytes, int]],
    ) -> None:
        """`address_key` is the secret of the keyed hash of addresses. `cancelled` tells which of
        these notifications and broadcasts were called off, and when, and may be a moment behind:
        senders are not."""
        self.rules = rules
        self.partitions = partitions
        self.admission = Admission(rules)
        self.receipts = ReceiptWriter(partitions=partitions)
        self.hash_of = partial(ids.address_hash, address_key)
        self.window_ms = rules.dedup_window_seconds * 1000
        self.cancelled = cancelled
        self._senders = [
            SmsSender(each, ids.partition_of(each, partitions)) for each in sms_senders
        ]

    def sender_of(self, user_id: str) -> SmsSender:
        """The same one for a user each time, since people know a number."""
        return self._senders[crc32(user_id.encode()) % len(self._senders)]

    def is_broadcast_cancelled(self, body: Body) -> bool:
        cancelled_ms = self.cancelled([body.broadcast_id]).get(body.broadcast_id)
        return cancelled_ms is not None and self.is_about(cancelled_ms, body)

    def is_about(self, cancelled_ms: int, body: Body) -> bool:
        """Whether a cancellation means this one, and not another with its key."""
        return is_about(cancelled_ms, body.accepted_ms, self.window_ms)

    def is_counted(self, type_name: str, channel: Channel) -> bool:
        """Whether any cap speaks of it."""
        kind = self.rules.types.get(type_name)
        return kind is not None and (not kind.category.mandatory or channel in self.rules.per_user)


class Whom(msgspec.Struct, frozen=True, gc=False):
    """Somebody who is to be told, as far as a decision is concerned."""

    user_id: str
    notification_id: bytes
    profile: Profile
    notice: Notice | None = None
    """What they are told, where each of a crowd is told something else; but for its data, its expiry,
    when it was asked for and by whom, it is as the crowd's."""


class Dispatch:
    """One yield in the making, at one instant."""

    def __init__(self, terms: DispatchTerms, batch: Batch[Any]) -> None:
        self._terms = terms
        self._partition = batch.partition
        self._state = batch.state
        self._now_ms = batch.now_ms
        self.receipts = terms.receipts.at(batch.now_ms)
        self.rows: list[Row] = []
        self.told: list[Record] = []
        """Receipts so far."""
        # Not `now_ms`: what waits to be read has not been weighed, so senders must mind it.
        self._outgoing = Outgoing(released_ms=batch.known_ms)
        self._waiting: dict[tuple[int, Channel, int, bool], tuple[Notice, list[Waiter], bytes]] = {}
        self._caps: dict[bytes, Caps] = {}
        self._counted: dict[bytes, Caps] = {}
        self._facts: dict[tuple[str, str], Fact] = {}

    def load_caps(self, asked: Iterable[tuple[str, Channel, Iterable[str]]]) -> None:
        """Read the caps of (type, channel, users), all at once, before `rule` is asked of them."""
        keys = {
            key: None
            for type_name, channel, user_ids in asked
            if self._terms.is_counted(type_name, channel)
            for key in caps.keys_of(channel, user_ids)
        }
        self._caps.update(zip(keys, caps.get_many(self._state, list(keys)), strict=True))

    def case(
        self,
        notice: Notice,
        channel: Channel,
        *,
        send_ms: int | None = None,
        is_fallback: bool = False,
    ) -> Case:
        return self._terms.admission.case(
            notice.body.type,
            channel,
            now_ms=self._now_ms,
            send_ms=send_ms,
            is_fallback=is_fallback,
        )

    def rule(
        self, case: Case, notice: Notice, channel: Channel, crowd: Sequence[Whom]
    ) -> list[Ruling]:
        """Decide on each for the first time, and count it."""
        cancelled = self._are_cancelled(notice.body, crowd)
        held, counted, rulings = self._caps, self._counted, []
        expires_ms = notice.body.expires_ms
        keys = caps.keys_of(channel, [whom.user_id for whom in crowd])
        for whom, key, is_cancelled in zip(crowd, keys, cancelled, strict=True):
            ruling = case.rule(
                whom.profile,
                held.get(key, NOTHING),
                expires_ms if whom.notice is None else whom.notice.body.expires_ms,
                is_cancelled=is_cancelled,
            )
            if ruling.counted is not None:
                held[key] = counted[key] = ruling.counted
            rulings.append(ruling)
        return rulings

    def decide(
        self,
        notice: Notice,
        channel: Channel,
        crowd: Sequence[Whom],
        *,
        send_ms: int | None = None,
        is_fallback: bool = False,
    ) -> None:
        """Rule on each for the first time, and carry it out."""
        case = self.case(notice, channel, send_ms=send_ms, is_fallback=is_fallback)
        self.carry_out(notice, channel, crowd, self.rule(case, notice, channel, crowd))

    def decide_again(self, notice: Notice, channel: Channel, crowd: Sequence[Whom]) -> None:
        """Of what was counted already."""
        case = self.case(notice, channel, is_fallback=True)
        cancelled = self._are_cancelled(notice.body, crowd)
        rulings = [
            case.rule_again(whom.profile, notice.body.expires_ms, is_cancelled=is_cancelled)
            for whom, is_cancelled in zip(crowd, cancelled, strict=True)
        ]
        self.carry_out(notice, channel, crowd, rulings)

    def wait_on(
        self, notice: Notice, channel: Channel, crowd: Sequence[Whom], verdict: Defer
    ) -> None:
        """Of what is not due yet. Who was called off is told so; the others hear nothing."""
        cancelled = self._are_cancelled(notice.body, crowd)
        self.decide_again(notice, channel, [*compress(crowd, cancelled)])
        others = [
            whom for whom, is_cancelled in zip(crowd, cancelled, strict=True) if not is_cancelled
        ]
        for whom, delivery_id in zip(others, _delivery_ids(notice, channel, others), strict=True):
            self._put_off(notice, channel, whom, delivery_id, verdict)

    def carry_out(
        self, notice: Notice, channel: Channel, crowd: Sequence[Whom], rulings: Sequence[Ruling]
    ) -> None:
        """What follows from a ruling on each of the crowd."""
        told: defaultdict[tuple[Fact, int], list[Told]] = defaultdict(list)
        place, targets = 0, list[Target]()
        parts: list[Part] = []
        queued, addresses = self.fact("queued"), _ADDRESSES[channel]
        locale = self._terms.rules.defaults.locale
        delivery_ids = _delivery_ids(notice, channel, crowd)
        for whom, ruling, delivery_id in zip(crowd, rulings, delivery_ids, strict=True):
            verdict = ruling.verdict
            devices = 1
            if isinstance(verdict, Deliver):
                fact, profile = queued, whom.profile
                reached = addresses(profile)
                devices = len(reached)
                if whom.notice is not None or not parts:
                    place, targets = len(parts), []
                    parts.append((whom.notice or notice, targets))
                for address, address_hash, device_id in reached:
                    targets.append(
                        Target(
                            whom.user_id, whom.notification_id, delivery_id, address, address_hash,
                            place, profile.locale or locale, profile.name, device_id, devices,
                            ruling.quiet,
                        )
                    )  # fmt: skip
            elif isinstance(verdict, Defer):
                fact = self.fact("deferred", verdict.reason)
                self._put_off(whom.notice or notice, channel, whom, delivery_id, verdict)
            else:
                fact = self.fact(verdict.status, verdict.reason)
            told[fact, devices].append((whom.user_id, whom.notification_id, delivery_id))
        if parts:
            self._send(notice, channel, parts)
        for (fact, devices), whose in told.items():
            self.told += self.receipts.deliveries(
                fact, notice.body, channel, whose, device_count=devices
            )

    def fact(self, status: Status, reason: Reason | str = "") -> Fact:
        key = (status, reason)
        fact = self._facts.get(key)
        if fact is None:
            fact = self._facts[key] = Fact(status, reason)
        return fact

    def all_rows(self) -> list[Row]:
        waiting_rows = [
            waiting.put(
                next_look_ms(until_ms, self._now_ms),
                delivery_id,
                Waiting(
                    lane=notice.lane,
                    channel=channel,
                    waiters=waiters,
                    is_counted=is_counted,
                    body=None if notice.stored_as else notice.body,
                    body_id=notice.stored_as,
                    until_ms=until_ms,
                ),
            )
            for (until_ms, channel, _, is_counted), (notice, waiters, delivery_id) in (
                self._waiting.items()
            )
        ]
        counted = [caps.put(key, held) for key, held in self._counted.items()]
        return [*self.rows, *waiting_rows, *counted]

    def all_records(self) -> list[Record]:
        return [*self._outgoing.records(), *self.told]

    def _are_cancelled(self, body: Body, crowd: Sequence[Whom]) -> Sequence[bool]:
        """Of each whether it was called off, by itself or with the broadcast."""
        if body.broadcast_id and self._terms.is_broadcast_cancelled(body):
            return [True] * len(crowd)
        cancelled = self._terms.cancelled([whom.notification_id for whom in crowd])
        if not cancelled:  # as a rule
            return [False] * len(crowd)
        return [
            whom.notification_id in cancelled
            and self._terms.is_about(
                cancelled[whom.notification_id], body if whom.notice is None else whom.notice.body
            )
            for whom in crowd
        ]

    def _put_off(
        self, notice: Notice, channel: Channel, whom: Whom, delivery_id: bytes, verdict: Defer
    ) -> None:
        key = (verdict.until_ms, channel, id(notice), verdict.is_counted)
        _, waiters, _ = self._waiting.setdefault(key, (notice, [], delivery_id))
        waiters.append(Waiter(whom.user_id, whom.notification_id))

    def _send(self, notice: Notice, channel: Channel, parts: Sequence[Part]) -> None:
        """An SMS goes to the partition of its sender, everything else stays with its user."""
        if channel != "sms":
            self._outgoing.add(channel, notice, parts, partition=self._partition)
            return
        for theirs, targets in parts:
            by_sender: dict[SmsSender, list[Target]] = {}
            for target in targets:
                by_sender.setdefault(self._terms.sender_of(target.user_id), []).append(target)
            for (sender, partition), some in by_sender.items():
                self._outgoing.add(
                    channel, notice, [(theirs, some)], partition=partition, sender=sender
                )


def _delivery_ids(notice: Notice, channel: Channel, crowd: Sequence[Whom]) -> list[bytes]:
    """Of what was asked for at one instant, all at once. All of a crowd are told something of their
    own, or none."""
    if not crowd or crowd[0].notice is None:
        told = [whom.notification_id for whom in crowd]
        return ids.delivery_ids(told, channel, notice.body.accepted_ms)
    return [
        delivery_id
        for accepted_ms, run in groupby(crowd, _ACCEPTED_MS)
        for delivery_id in ids.delivery_ids(
            [whom.notification_id for whom in run], channel, accepted_ms
        )
    ]


def _of_email(profile: Profile) -> Sequence[Reached]:
    return ((profile.email.text, profile.email.hash, ""),) if profile.email else ()


def _of_phone(profile: Profile) -> Sequence[Reached]:
    return ((profile.phone.text, profile.phone.hash, ""),) if profile.phone else ()


_ADDRESSES: Mapping[Channel, Callable[[Profile], Sequence[Reached]]] = {
    "push": lambda profile: [
        (device.token, device.hash, device.device_id) for device in profile.devices
    ],
    "email": _of_email,
    "sms": _of_phone,
    "in_app": lambda profile: _INBOX,
}


def addresses_of(profile: Profile, channel: Channel) -> Sequence[Reached]:
    """Everything that a delivery by this channel goes to."""
    return _ADDRESSES[channel](profile)
