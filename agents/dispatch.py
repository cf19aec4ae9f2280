"""`Dispatch`: what follows from verdicts, gathered for one yield of a deciding stage.

Deliveries, receipts, waiting rows and caps that belong to one verdict are one transaction, so
that none of them can be without the others.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from zlib import crc32

from agents.outgoing import Outgoing
from agents.receipts import Fact, ReceiptWriter, Told
from policies.admission import Admission
from policies.caps import NOTHING, Caps
from policies.reasons import Reason
from policies.rules import Rules
from policies.verdicts import Defer, Deliver, Verdict
from schemas import ids
from schemas.delivery import Body, Channel, Lane, Target, encode_body
from schemas.kafka import Record
from schemas.profile import Profile
from schemas.receipt import Status
from tables import caps, waiting
from tables.state import Row, State
from tables.waiting import Waiter, Waiting

_INBOX = (("", b"", ""),)


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
        is_cancelled: Callable[[bytes], bool],
        told: Told | None = None,
    ) -> None:
        """`address_key` is the secret of the keyed hash of addresses. `is_cancelled` is asked of
        notification and broadcast ids, and may be a moment behind: senders are not. `told` counts
        receipts."""
        self.rules = rules
        self.partitions = partitions
        self.admission = Admission(rules)
        self.receipts = ReceiptWriter(partitions=partitions, told=told)
        self.hash_of = partial(ids.address_hash, address_key)
        self.is_cancelled = is_cancelled
        self.window_ms = rules.dedup_window_seconds * 1000
        self._senders = [
            SmsSender(each, ids.partition_of(each, partitions)) for each in sms_senders
        ]

    def sender_of(self, user_id: str) -> SmsSender:
        """The same one for a user each time, since people know a number."""
        return self._senders[crc32(user_id.encode()) % len(self._senders)]

    def is_counted(self, type_name: str, channel: Channel) -> bool:
        """Whether any cap speaks of it."""
        kind = self.rules.types.get(type_name)
        return kind is not None and (not kind.category.mandatory or channel in self.rules.per_user)


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be told, whoever it is told to."""

    body: Body
    lane: Lane
    body_bytes: int
    is_stored: bool = False
    """The body is in `tables/bodies.py`, so rows need not repeat it."""
    inline: Profile | None = None
    """Addresses that came with the request."""

    @classmethod
    def of(
        cls, body: Body, lane: Lane, *, is_stored: bool = False, inline: Profile | None = None
    ) -> "Notice":
        return cls(body, lane, len(encode_body(body)), is_stored, inline)


class Dispatch:
    """One yield in the making, at one instant."""

    def __init__(self, terms: DispatchTerms, state: State, now_ms: int) -> None:
        self._terms = terms
        self._state = state
        self._admission = terms.admission.at(now_ms)
        self.receipts = terms.receipts.at(now_ms)
        self.rows: list[Row] = []
        self.told: list[Record] = []
        """Receipts so far."""
        self._outgoing = Outgoing(released_ms=now_ms)
        self._waiting: dict[tuple[int, Channel, int, bool], tuple[Notice, list[Waiter], bytes]] = {}
        self._caps: dict[bytes, Caps] = {}
        self._counted: set[bytes] = set()
        self._facts: dict[tuple[str, str], Fact] = {}

    def load_caps(self, asked: Iterable[tuple[str, Channel, str]]) -> None:
        """Read the caps of (type, channel, user), all at once, before `admit` is asked of them."""
        is_counted = self._terms.is_counted
        keys = {
            caps.key_of(channel, user_id): None
            for type_name, channel, user_id in asked
            if is_counted(type_name, channel)
        }
        self._caps.update(zip(keys, caps.get_many(self._state, list(keys)), strict=True))

    def admit(
        self,
        notice: Notice,
        channel: Channel,
        user_id: str,
        notification_id: bytes,
        profile: Profile,
        *,
        send_ms: int | None = None,
        is_fallback: bool = False,
    ) -> Verdict:
        """Decide for the first time, and count it."""
        body = notice.body
        key = caps.key_of(channel, user_id)
        held = self._caps.get(key)
        verdict = self._admission.admit(
            body.type,
            channel,
            profile,
            NOTHING if held is None else held,
            expires_ms=body.expires_ms,
            send_ms=send_ms,
            is_cancelled=self.is_cancelled(body, notification_id),
            is_fallback=is_fallback,
        )
        if held is not None and (
            isinstance(verdict, Deliver) or (isinstance(verdict, Defer) and verdict.is_counted)
        ):
            self._caps[key] = self._admission.counted(
                body.type, channel, profile, held, expires_ms=body.expires_ms
            )
            self._counted.add(key)
        return verdict

    def recheck(
        self, notice: Notice, channel: Channel, notification_id: bytes, profile: Profile
    ) -> Verdict:
        """Decide again what was counted already."""
        return self._admission.recheck(
            notice.body.type,
            channel,
            profile,
            expires_ms=notice.body.expires_ms,
            is_cancelled=self.is_cancelled(notice.body, notification_id),
        )

    def is_cancelled(self, body: Body, notification_id: bytes) -> bool:
        is_cancelled = self._terms.is_cancelled
        return is_cancelled(notification_id) or (
            bool(body.broadcast_id) and is_cancelled(body.broadcast_id)
        )

    def carry_out(
        self,
        verdict: Verdict,
        notice: Notice,
        channel: Channel,
        user_id: str,
        notification_id: bytes,
        profile: Profile,
    ) -> None:
        body = notice.body
        delivery_id = ids.delivery_id(notification_id, channel, body.accepted_ms)
        devices = 1
        if isinstance(verdict, Deliver):
            fact = self.fact("queued")
            devices = self._deliver(notice, channel, user_id, notification_id, delivery_id, profile)
        elif isinstance(verdict, Defer):
            fact = self.fact("deferred", verdict.reason)
            key = (verdict.until_ms, channel, id(notice), verdict.is_counted)
            _, waiters, _ = self._waiting.setdefault(key, (notice, [], delivery_id))
            waiters.append(Waiter(user_id, notification_id))
        else:
            fact = self.fact(verdict.status, verdict.reason)
        self.told.append(
            self.receipts.delivery(
                fact, body, channel, user_id, notification_id, delivery_id, device_count=devices
            )
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
                until_ms,
                delivery_id,
                Waiting(
                    lane=notice.lane,
                    channel=channel,
                    waiters=waiters,
                    is_counted=is_counted,
                    body=None if notice.is_stored else notice.body,
                    broadcast_id=notice.body.broadcast_id,
                    inline=notice.inline,
                ),
            )
            for (until_ms, channel, _, is_counted), (notice, waiters, delivery_id) in (
                self._waiting.items()
            )
        ]
        counted = [caps.put(key, self._caps[key]) for key in self._counted]
        return [*self.rows, *waiting_rows, *counted]

    def all_records(self) -> list[Record]:
        return [*self._outgoing.records(), *self.told]

    def _deliver(
        self,
        notice: Notice,
        channel: Channel,
        user_id: str,
        notification_id: bytes,
        delivery_id: bytes,
        profile: Profile,
    ) -> int:
        """How many devices it goes to."""
        sender, partition = "", self._state.partition
        if channel == "sms":
            sender, partition = self._terms.sender_of(user_id)
        name, locale = profile.name, profile.locale
        reached = addresses_of(profile, channel)
        body = notice.body
        quiet = self._admission.quiet(body.type, channel, profile, expires_ms=body.expires_ms)
        text = len(user_id) + len(name) + len(locale) + len(quiet)
        batch = self._outgoing.place(
            channel, notice.lane, body, notice.body_bytes,
            partition=partition,
            sender=sender,
            targets=len(reached),
            text=sum(text + len(address) + len(device_id) for address, _, device_id in reached),
        )  # fmt: skip
        place = len(batch.bodies) - 1
        for address, address_hash, device_id in reached:
            batch.targets.append(
                Target(
                    user_id, notification_id, delivery_id, address, address_hash,
                    place, locale, name, device_id, len(reached), quiet,
                )
            )  # fmt: skip
        return len(reached)


def addresses_of(profile: Profile, channel: Channel) -> Sequence[tuple[str, bytes, str]]:
    """(address, its hash, device_id) of everything that a delivery by this channel goes to."""
    match channel:
        case "push":
            return [(device.token, device.hash, device.device_id) for device in profile.devices]
        case "email":
            return ((profile.email.text, profile.email.hash, ""),) if profile.email else ()
        case "sms":
            return ((profile.phone.text, profile.phone.hash, ""),) if profile.phone else ()
        case "in_app":
            return _INBOX
