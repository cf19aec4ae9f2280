"""What the tails say, noted where senders look before each request.

A record that does not decode is skipped here: the role `decide` reads it too and makes a dead
letter of it. A misplaced one counts from where it was written, so its forwarded copy is not read;
and longer than others, since nobody can tell whether a decision knew what waited in a partition
that is not its own.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Any, assert_never

from pydantic import TypeAdapter

from policies.stops import StopList
from schemas import ids, topics
from schemas.decode import ControlDecoder, Decoder, Undecodable, internal
from schemas.delivery import Channel
from schemas.instants import to_ms
from schemas.kafka import InboundRecord
from schemas.notification import CANCELLATION
from schemas.recipient import (
    RECIPIENT_CHANGE,
    AddressReleased,
    AddressSuppressed,
    AudienceJoined,
    AudienceLeft,
    DeviceRegistered,
    DeviceRemoved,
    PreferencesUpdated,
    RecipientChange,
    RecipientDeleted,
    RecipientUpdated,
)
from schemas.recipient_events import (
    DerivedChange,
    DeviceLost,
    HolderBarred,
    HolderUnbarred,
    ImportedOptOut,
    decode_derived,
)

CALLED_OFF = (topics.NOTIFICATIONS_CANCELLED, topics.CONTROLS)
"""What deciding roles tail: a cancelled broadcast has no user, a pause no partition."""
STOPS = (*CALLED_OFF, topics.RECIPIENTS_CHANGED, topics.RECIPIENTS_DERIVED)
"""What senders tail."""

MISPLACED_MS = 3_600_000
"""A change in a wrong partition counts as unheard of by whoever decides so long after it came: what
it stops may wait there, and be forwarded, for an hour. Longer would hold back what a later import,
which is not tailed, allows again."""


class StopFeed:
    """Called with each tailed record, in the order of its partition."""

    def __init__(self, stops: StopList, *, address_key: bytes, partitions: int) -> None:
        self._stops = stops
        self._partitions = partitions
        self._hash_of = partial(ids.address_hash, address_key)
        self._change: Decoder[RecipientChange] = _quiet(RECIPIENT_CHANGE)
        self._derived = internal(decode_derived)
        self._cancellation = _quiet(CANCELLATION)
        self._control = ControlDecoder(on_ignored=_ignore)

    def __call__(self, record: InboundRecord) -> None:
        try:
            if record.topic == topics.RECIPIENTS_CHANGED:
                change = self._change(record)
                self._note_change(change, self._came_ms(record, change.user_id))
            elif record.topic == topics.RECIPIENTS_DERIVED:
                self._note_all_derived(self._derived(record), record.timestamp_ms)
            elif record.topic == topics.NOTIFICATIONS_CANCELLED:
                target_id = self._cancellation(record).target_id()
                self._stops.note_cancelled(target_id, appended_ms=record.timestamp_ms)
            elif record.topic == topics.CONTROLS:
                word = self._control(record)
                self._stops.note_control(word.scope, word.name, is_paused=word.action == "pause")
        except Undecodable:
            return

    def _came_ms(self, record: InboundRecord, user_id: str) -> int:
        is_misplaced = ids.partition_of(user_id, self._partitions) != record.partition
        return record.timestamp_ms + (MISPLACED_MS if is_misplaced else 0)

    def _note_change(self, change: RecipientChange, appended_ms: int) -> None:
        stops, user_id = self._stops, change.user_id
        occurred_ms = change.occurred_ms
        match change:
            case RecipientUpdated():
                self._note_addresses(change, appended_ms)
            case RecipientDeleted():
                stops.note_deleted(user_id, occurred_ms=occurred_ms, appended_ms=appended_ms)
            case PreferencesUpdated():
                self._note_preferences(change, appended_ms)
            case DeviceRegistered():
                stops.note_device_registered(
                    user_id,
                    change.device_id,
                    self._hash_of("push", change.token),
                    occurred_ms=occurred_ms,
                    appended_ms=appended_ms,
                )
            case DeviceRemoved():
                stops.note_device_removed(
                    user_id, change.device_id, occurred_ms=occurred_ms, appended_ms=appended_ms
                )
            case AddressSuppressed():
                stops.note_user_barred(
                    user_id,
                    change.channel,
                    occurred_ms=occurred_ms,
                    appended_ms=appended_ms,
                    until_ms=to_ms(change.until) if change.until else 0,
                )
            case AddressReleased():
                stops.note_user_unbarred(
                    user_id, change.channel, occurred_ms=occurred_ms, appended_ms=appended_ms
                )
            case AudienceJoined() | AudienceLeft():
                pass  # who is in an audience was decided when it was expanded
            case _:
                assert_never(change)

    def _note_addresses(self, change: RecipientUpdated, appended_ms: int) -> None:
        said: list[tuple[Channel, str, str | None]] = [
            ("email", "email", change.email),
            ("sms", "phone", change.phone),
        ]
        for channel, field, address in said:
            if field in change.model_fields_set:
                self._stops.note_address(
                    change.user_id,
                    channel,
                    self._hash_of(channel, address) if address else b"",
                    source=change.source,
                    occurred_ms=change.occurred_ms,
                    appended_ms=appended_ms,
                )

    def _note_preferences(self, change: PreferencesUpdated, appended_ms: int) -> None:
        note = partial(
            self._stops.note_choice,
            change.user_id,
            source=change.source,
            occurred_ms=change.occurred_ms,
            appended_ms=appended_ms,
        )
        for channel, wish in change.preferences.by_channel():
            if "enabled" in wish.model_fields_set:
                note(wish.enabled, channel=channel)
        for type_name, enabled in change.preferences.types.items():
            note(enabled, type_name=type_name)

    def _note_all_derived(self, facts: Iterable[DerivedChange], appended_ms: int) -> None:
        """Opt-outs that say the same are noted together, in any order: of two about the same thing
        the later said counts, and they touch nothing else."""
        opted_out = defaultdict[tuple[str, str, int], list[str]](list)
        for fact in facts:
            if isinstance(fact, ImportedOptOut):
                opted_out[fact.channel, fact.type, fact.occurred_ms].append(fact.user_id)
            else:
                self._note_derived(fact, appended_ms)
        for (channel, type_name, occurred_ms), user_ids in opted_out.items():
            self._stops.note_imported_opt_outs(
                user_ids,
                channel=channel,
                type_name=type_name,
                occurred_ms=occurred_ms,
                appended_ms=appended_ms,
            )

    def _note_derived(
        self, fact: DeviceLost | HolderBarred | HolderUnbarred, appended_ms: int
    ) -> None:
        stops, occurred_ms = self._stops, fact.occurred_ms
        match fact:
            case DeviceLost():
                stops.note_token_lost(
                    fact.user_id,
                    fact.address_hash,
                    occurred_ms=occurred_ms,
                    appended_ms=appended_ms,
                )
            case HolderBarred():
                stops.note_barred(
                    fact.address_hash,
                    occurred_ms=occurred_ms,
                    appended_ms=appended_ms,
                    until_ms=fact.until_ms,
                )
            case HolderUnbarred():
                stops.note_unbarred(
                    fact.address_hash, occurred_ms=occurred_ms, appended_ms=appended_ms
                )
            case _:
                assert_never(fact)


def _ignore(topic: str, count: int) -> None:
    """Fields of a newer version are counted where `decide` reads the record, not here too."""


def _quiet(contract: TypeAdapter[Any]) -> Decoder[Any]:
    return Decoder(contract, on_ignored=_ignore)
