"""Profiles and memberships of one transaction: read together, edited in order, written together."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TypeVar, assert_never

from policies import imported_lines
from policies.profile_changes import ProfileEdit, outranks
from schemas.ids import partition_of_hash
from schemas.instants import to_ms
from schemas.kafka import Record
from schemas.profile import Address, Choice, Profile
from schemas.recipient import (
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
    AddressBarred,
    AddressClaimed,
    AddressEvent,
    AddressGivenUp,
    AddressUnbarred,
    DerivedChange,
    DeviceLost,
    HolderBarred,
    HolderUnbarred,
    ImportBatch,
    ImportedOptOut,
    ImportedRecipient,
    encode_address_events,
    encode_derived,
)
from schemas.topics import ADDRESSES_CHANGED, RECIPIENTS_DERIVED
from tables import memberships, recipients
from tables.state import Row, State

EventT = TypeVar("EventT")

EVENTS_A_RECORD = 2000
"""Keeps a record below what a broker takes, with the longest ids that there may be."""

_Consequence = DeviceLost | HolderBarred | HolderUnbarred


class RecipientEdits:
    """All edits of one yield in one partition."""

    def __init__(self, state: State, *, hash_of: Callable[[str, str], bytes]) -> None:
        self._state = state
        self._hash_of = hash_of
        self._profiles: dict[str, Profile | None] = {}
        self._introduced: dict[str, Row] = {}
        """Written as they are made, not with all the others at the end: what has just been made is
        still in the processor's cache, and a thousand profiles are more than it holds."""
        self._edits: dict[str, ProfileEdit] = {}
        self._members: dict[bytes, Choice | None] = {}
        self._member_rows: dict[bytes, Row] = {}
        self._address_events: list[AddressEvent] = []
        self._derived: list[DerivedChange] = []

    def load(self, news: Sequence[RecipientChange | ImportBatch | list[DerivedChange]]) -> None:
        """Read what the news speak of, all at once."""
        user_ids: dict[str, None] = {}
        member_keys: dict[bytes, None] = {}
        for each in news:
            if isinstance(each, ImportBatch):
                for line in each.items:
                    user_ids[line.user_id] = None
                    for audience in line.audiences:
                        member_keys[memberships.key_of(audience, line.user_id)] = None
            elif isinstance(each, list):
                user_ids.update((fact.user_id, None) for fact in _meant_for_us(each))
            else:
                user_ids[each.user_id] = None
                if isinstance(each, AudienceJoined | AudienceLeft):
                    member_keys[memberships.key_of(each.audience, each.user_id)] = None
        profiles = recipients.get_many(self._state, list(user_ids))
        self._profiles = dict(zip(user_ids, profiles, strict=True))
        members = memberships.get_many(self._state, list(member_keys))
        self._members = dict(zip(member_keys, members, strict=True))

    def apply(self, news: RecipientChange | ImportBatch | list[DerivedChange], offset: int) -> None:
        """`offset` is that of the record: it orders claims of a user in one instant."""
        if isinstance(news, ImportBatch):
            for line in news.items:
                self._import(line, offset)
        elif isinstance(news, list):
            for fact in _meant_for_us(news):
                edit = self._edit_of(fact.user_id)
                # Also what was found before they were deleted: a bar stays with the address, and it
                # is theirs again. A device that they have now is newer than such a loss.
                edit.by("provider", fact.occurred_ms)
                self._derive(edit, fact)
                self._follow_up(fact.user_id, edit, offset)
        else:
            edit = self._edit_of(news.user_id)
            if edit.by(news.source, news.occurred_ms):
                self._change(edit, news, offset)
            elif isinstance(news, DeviceRegistered):
                edit.had_device(news.device_id, news.token)
            self._follow_up(news.user_id, edit, offset)

    def rows(self) -> list[Row]:
        edited = {
            user_id: recipients.put(user_id, edit.profile())
            for user_id, edit in self._edits.items()
            if edit.is_changed
        }
        profiles = self._introduced | edited  # who was introduced may have been edited since
        return [*profiles.values(), *self._member_rows.values()]

    def records(self, partitions: int) -> list[Record]:
        """Events go to the partition of their address's hash, derived changes stay in this one."""
        by_partition: defaultdict[int, list[AddressEvent]] = defaultdict(list)
        for event in self._address_events:
            by_partition[partition_of_hash(event.address_hash, partitions)].append(event)
        of_addresses = (
            Record(ADDRESSES_CHANGED, partition, encode_address_events(some))
            for partition, events in by_partition.items()
            for some in _runs(events)
        )
        of_users = (
            Record(RECIPIENTS_DERIVED, self._state.partition, encode_derived(some))
            for some in _runs(self._derived)
        )
        return list(chain(of_addresses, of_users))

    def _change(self, edit: ProfileEdit, change: RecipientChange, offset: int) -> None:
        match change:
            case RecipientUpdated():
                for field, update in _UPDATES.items():
                    if field in change.model_fields_set:
                        update(edit, getattr(change, field) or "")
            case RecipientDeleted():
                edit.delete()
            case PreferencesUpdated():
                _prefer(edit, change)
            case DeviceRegistered():
                edit.register_device(change.device_id, change.token, change.platform)
            case DeviceRemoved():
                edit.remove_device(change.device_id)
            case AudienceJoined() | AudienceLeft():
                is_member = isinstance(change, AudienceJoined)
                said = Choice(is_member, change.source, change.occurred_ms)
                self._join(change.audience, change.user_id, said, edit.deleted_ms)
            case AddressSuppressed() | AddressReleased():
                address = _present(edit, change.channel)
                if address is not None and change.occurred_ms < address.since_ms:
                    return  # it is on the one of before, which must not bar the new one for everybody
                _bar_or_release(edit, change)
                if address is not None:
                    self._address_events.append(_told_to_all(change, address.hash, offset))
            case _:
                assert_never(change)

    def _edit_of(self, user_id: str) -> ProfileEdit:
        edit = self._edits.get(user_id)
        if edit is None:
            introduced = self._introduced.get(user_id)
            profile = recipients.of(introduced) if introduced else self._profiles[user_id]
            edit = self._edits[user_id] = ProfileEdit(profile, self._hash_of)
        return edit

    def _import(self, line: ImportedRecipient, offset: int) -> None:
        user_id, deleted_ms = line.user_id, 0
        is_known = (
            self._profiles[user_id] is not None
            or user_id in self._introduced
            or user_id in self._edits
        )
        if not is_known and len(line.devices) <= imported_lines.MAX_DEVICES:
            self._introduce(line, offset)
        else:
            edit = self._edit_of(user_id)
            if not edit.by("import", line.occurred_ms):
                return
            imported_lines.weigh(edit, line)
            self._follow_up(user_id, edit, offset)
            deleted_ms = edit.deleted_ms
        for audience in line.audiences:
            self._join(audience, user_id, Choice(True, "import", line.occurred_ms), deleted_ms)

    def _introduce(self, line: ImportedRecipient, offset: int) -> None:
        user_id, occurred_ms, events = line.user_id, line.occurred_ms, self._address_events
        profile, opted_out = imported_lines.introduce(line, self._hash_of)
        self._introduced[user_id] = recipients.put(user_id, profile)
        if (email := profile.email) is not None:
            events.append(AddressClaimed(email.hash, "email", occurred_ms, offset, user_id))
        if (phone := profile.phone) is not None:
            events.append(AddressClaimed(phone.hash, "sms", occurred_ms, offset, user_id))
        for each in profile.devices:
            events.append(
                AddressClaimed(each.hash, "push", occurred_ms, offset, user_id, each.device_id)
            )
        for channel, type_name in opted_out:
            self._derived.append(ImportedOptOut(user_id, occurred_ms, channel, type_name))

    def _derive(self, edit: ProfileEdit, fact: _Consequence) -> None:
        match fact:
            case DeviceLost():
                edit.lose_device(fact.device_id, fact.address_hash)
            case HolderBarred():
                if _has(edit, fact.channel, fact.address_hash):
                    edit.suppress(fact.channel, fact.reason, fact.until_ms)
            case HolderUnbarred():
                if _has(edit, fact.channel, fact.address_hash):
                    edit.release(fact.channel)
            case _:
                assert_never(fact)

    def _join(self, audience: str, user_id: str, said: Choice, deleted_ms: int) -> None:
        """A deletion ends memberships, so a join of before it is no reason to ignore a new one; who
        had left stays away."""
        key = memberships.key_of(audience, user_id)
        old = self._members[key]
        if old is not None and not (old.enabled and old.occurred_ms <= deleted_ms):
            if not outranks(old, said.source, said.occurred_ms):
                return
            if old.enabled == said.enabled and said.source == "import":
                return  # known already
        if said != old:
            self._members[key] = said
            self._member_rows[key] = memberships.put(key, said)

    def _follow_up(self, user_id: str, edit: ProfileEdit, offset: int) -> None:
        for is_claim, held in edit.moves:
            event = AddressClaimed if is_claim else AddressGivenUp
            self._address_events.append(
                event(
                    held.address_hash, held.channel, held.occurred_ms, offset,
                    user_id, held.device_id,
                )
            )  # fmt: skip
        for channel, type_name in edit.opted_out:
            self._derived.append(ImportedOptOut(user_id, edit.occurred_ms, channel, type_name))
        edit.forget_consequences()


def _meant_for_us(facts: Sequence[DerivedChange]) -> Iterator[_Consequence]:
    """Opt-outs of imports are of our own profiles: they are written for the senders."""
    return (fact for fact in facts if not isinstance(fact, ImportedOptOut))


def _present(edit: ProfileEdit, channel: str) -> Address | None:
    """The recipient's mailbox or number; None also where a channel has no such thing."""
    return {"email": edit.email, "sms": edit.phone}.get(channel)


def _has(edit: ProfileEdit, channel: str, address_hash: bytes) -> bool:
    address = _present(edit, channel)
    return address is not None and address.hash == address_hash


def _bar_or_release(edit: ProfileEdit, change: AddressSuppressed | AddressReleased) -> None:
    if isinstance(change, AddressSuppressed):
        edit.suppress(change.channel, change.reason, _until_ms(change))
    else:
        edit.release(change.channel)


def _told_to_all(
    change: AddressSuppressed | AddressReleased, address_hash: bytes, offset: int
) -> AddressEvent:
    """What whoever has the address hears of it."""
    about = address_hash, change.channel, change.occurred_ms, offset
    if isinstance(change, AddressSuppressed):
        return AddressBarred(*about, change.reason, _until_ms(change))
    return AddressUnbarred(*about)


def _until_ms(change: AddressSuppressed) -> int:
    return 0 if change.until is None else to_ms(change.until)


def _runs(events: list[EventT]) -> Iterator[list[EventT]]:
    for start in range(0, len(events), EVENTS_A_RECORD):
        yield events[start : start + EVENTS_A_RECORD]


_UPDATES = {
    "email": ProfileEdit.say_email,
    "phone": ProfileEdit.say_phone,
    "name": ProfileEdit.say_name,
    "locale": ProfileEdit.say_locale,
    "timezone": ProfileEdit.say_timezone,
}


def _prefer(edit: ProfileEdit, change: PreferencesUpdated) -> None:
    """A member that is absent says nothing; None takes back what was said."""
    for channel, wish in change.preferences.by_channel():
        said = wish.model_fields_set
        if "enabled" in said:
            edit.channel_enabled(channel, wish.enabled)
        if "quiet_hours" in said:
            edit.quiet_hours(channel, wish.quiet_hours or "")
        if "daily_limit" in said:
            edit.daily_limit(channel, wish.daily_limit)
    for name, enabled in change.preferences.types.items():
        edit.type_enabled(name, enabled)
