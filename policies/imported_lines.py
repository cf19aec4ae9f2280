"""What a line of an import says of a recipient: somebody known is weighed, a stranger introduced.

An introduction is what weighing the line would come to where nothing was said before, in a fraction
of the time: most lines of a first import are of strangers.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from policies.profile_changes import AddressHash, ProfileEdit
from schemas.profile import (
    Address,
    ChannelWish,
    Device,
    Profile,
    Wishes,
    Word,
    pack_wishes,
    pack_words,
)
from schemas.recipient_events import ImportedRecipient, ImportedWish

MAX_DEVICES = 1
"""Of several, one may take the place of another: that is weighed."""

_HOT_SAYINGS = 4096


class Introduction(NamedTuple):
    """A recipient as of now, and what was turned off."""

    profile: Profile
    opted_out: Sequence[tuple[str, str]]
    """(channel, "") or ("", type): senders would not hear of it."""


def introduce(line: ImportedRecipient, hash_of: AddressHash) -> Introduction:
    """`line` has at most `MAX_DEVICES` devices."""
    said = _said(
        line.timezone, line.wishes, tuple(line.types.items()) if line.types else (),
        line.name != "", line.locale != "", line.email != "", line.phone != "", line.occurred_ms,
    )  # fmt: skip
    email, phone = line.email, line.phone
    profile = Profile(
        line.name,
        line.locale,
        Address(email, hash_of("email", email), line.occurred_ms) if email else None,
        Address(phone, hash_of("sms", phone), line.occurred_ms) if phone else None,
        tuple(
            Device(
                device.device_id, device.token, device.platform, line.occurred_ms,
                hash_of("push", device.token),
            )
            for device in line.devices
        ) if line.devices else (),
        packed_wishes=said.wishes,
        packed_words=said.words,
    )  # fmt: skip
    return Introduction(profile, said.opted_out)


def weigh(edit: ProfileEdit, line: ImportedRecipient) -> None:
    """`edit.by` has said that an import speaks, and when."""
    if line.email:
        edit.say_email(line.email)
    if line.phone:
        edit.say_phone(line.phone)
    if line.name:
        edit.say_name(line.name)
    if line.locale:
        edit.say_locale(line.locale)
    if line.timezone:
        edit.say_timezone(line.timezone)
    for wish in line.wishes:
        if wish.enabled is not None:
            edit.channel_enabled(wish.channel, wish.enabled)
        if wish.quiet_hours:
            edit.quiet_hours(wish.channel, wish.quiet_hours)
        if wish.daily_limit is not None:
            edit.daily_limit(wish.channel, wish.daily_limit)
    for name, enabled in line.types.items():
        edit.type_enabled(name, enabled)
    for device in line.devices:
        edit.register_device(device.device_id, device.token, device.platform)


class _Said(NamedTuple):
    """What many lines have in common, packed."""

    wishes: bytes
    words: bytes
    opted_out: tuple[tuple[str, str], ...]


@lru_cache(maxsize=_HOT_SAYINGS)
def _said(
    timezone: str,
    wishes: tuple[ImportedWish, ...],
    types: tuple[tuple[str, bool], ...],
    has_name: bool,
    has_locale: bool,
    has_email: bool,
    has_phone: bool,
    occurred_ms: int,
) -> _Said:
    """A file says the same of many people, as of one instant."""
    plain = {
        "name": has_name,
        "locale": has_locale,
        "timezone": bool(timezone),
        "email": has_email,
        "phone": has_phone,
    }
    fields = [field for field, is_said in plain.items() if is_said]
    channels: dict[str, ChannelWish] = {}
    opted_out: list[tuple[str, str]] = []
    for wish in wishes:
        channels[wish.channel] = ChannelWish(wish.enabled, wish.quiet_hours, wish.daily_limit)
        if wish.enabled is not None:
            fields.append(f"{wish.channel}.enabled")
        if wish.quiet_hours:
            fields.append(f"{wish.channel}.quiet_hours")
        if wish.daily_limit is not None:
            fields.append(f"{wish.channel}.daily_limit")
        if wish.enabled is False:
            opted_out.append((wish.channel, ""))
    fields += [f"types.{name}" for name, _ in types]
    opted_out += [("", name) for name, enabled in types if not enabled]
    return _Said(
        pack_wishes(Wishes(timezone, channels, dict(types))),
        pack_words(dict.fromkeys(fields, Word("import", occurred_ms))),
        tuple(opted_out),
    )
