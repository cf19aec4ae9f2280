"""How a profile changes: whose word counts, and what follows for addresses and senders.

A person's own word yields only to a newer word of that person; between anybody else the newer
one counts. So the order in which words of different people arrive does not matter. An import
that says what is known already says nothing.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from schemas.profile import (
    ChannelPreference,
    Choice,
    Count,
    Device,
    Profile,
    Source,
    Suppression,
    Text,
)
from schemas.recipient_events import ImportedRecipient

MAX_DEVICES = 32
"""The newest stay; an app that invents a device id at each start must not grow a profile for ever."""

AddressHash = Callable[[str, str], bytes]
"""(channel, address) to the keyed hash of it."""


class Held(NamedTuple):
    """An address that the recipient has, or has no more."""

    channel: str
    address: str
    device_id: str
    occurred_ms: int


class _Said(Protocol):
    @property
    def source(self) -> Source: ...
    @property
    def occurred_ms(self) -> int: ...


SaidT = TypeVar("SaidT", Text, Choice, Count)


def outranks(old: _Said | None, source: Source, occurred_ms: int) -> bool:
    """Whether a new word counts against what was said before."""
    if old is None or (source == "user") > (old.source == "user"):
        return True
    return (source == "user") == (old.source == "user") and occurred_ms >= old.occurred_ms


class ProfileEdit:
    """One profile being changed, and what follows from its changes.

    `by` must be called before any change: it says whose word the next ones are.
    """

    __slots__ = (
        "_is_known",
        "_source",
        "claimed",
        "given_up",
        "is_changed",
        "occurred_ms",
        "opted_out",
        "profile",
    )

    def __init__(self, profile: Profile | None) -> None:
        self.profile = profile or Profile()
        self._is_known = profile is not None
        self.is_changed = False
        self.claimed: list[Held] = []
        self.given_up: list[Held] = []
        self.opted_out: list[tuple[str, str]] = []
        """(channel, "") or ("", type) turned off by an import: senders would not hear of it."""
        self._source: Source = "producer"
        self.occurred_ms = 0

    def by(self, source: Source, occurred_ms: int) -> bool:
        """Whose word the next changes are; False when the recipient was deleted since."""
        self._source = source
        self.occurred_ms = occurred_ms
        return occurred_ms > self.profile.deleted_ms

    def introduce(self, line: ImportedRecipient) -> None:
        """An import's word of somebody of whom nothing was said: there is nothing to weigh."""
        at_ms = line.occurred_ms
        self.profile = Profile(
            name=_imported(line.name, at_ms),
            locale=_imported(line.locale, at_ms),
            timezone=_imported(line.timezone, at_ms),
            email=_imported(line.email, at_ms),
            phone=_imported(line.phone, at_ms),
            channels={
                wish.channel: ChannelPreference(
                    None if wish.enabled is None else Choice(wish.enabled, "import", at_ms),
                    _imported(wish.quiet_hours, at_ms),
                    None if wish.daily_limit is None else Count(wish.daily_limit, "import", at_ms),
                )
                for wish in line.wishes
            },
            types={name: Choice(enabled, "import", at_ms) for name, enabled in line.types.items()},
        )
        self.is_changed = True
        for channel, address in (("email", line.email), ("sms", line.phone)):
            if address:
                self.claimed.append(Held(channel, address, "", at_ms))
        self.opted_out += [(wish.channel, "") for wish in line.wishes if wish.enabled is False]
        self.opted_out += [("", name) for name, enabled in line.types.items() if not enabled]

    def forget_consequences(self) -> None:
        """They were seen to."""
        if self.claimed or self.given_up or self.opted_out:
            self.claimed, self.given_up, self.opted_out = [], [], []

    @property
    def is_known(self) -> bool:
        """Something was said of the recipient, in this edit or before."""
        return self._is_known or self.is_changed

    def name(self, value: str) -> None:
        self.profile.name = self._text(self.profile.name, value)

    def locale(self, value: str) -> None:
        self.profile.locale = self._text(self.profile.locale, value)

    def timezone(self, value: str) -> None:
        self.profile.timezone = self._text(self.profile.timezone, value)

    def email(self, value: str) -> None:
        old, new = self.profile.email, self._text(self.profile.email, value)
        self.profile.email = new
        self._moved("email", old, new)

    def phone(self, value: str) -> None:
        old, new = self.profile.phone, self._text(self.profile.phone, value)
        self.profile.phone = new
        self._moved("sms", old, new)

    def channel_enabled(self, channel: str, enabled: bool | None) -> None:
        """None takes back what was said."""
        wish = self._wish(channel)
        old = wish.enabled
        wish.enabled = self._choice(old, enabled)
        self._note_opt_out(channel, "", old, wish.enabled)

    def type_enabled(self, type_name: str, enabled: bool) -> None:
        types = self.profile.types
        old = types.get(type_name)
        new = self._choice(old, enabled)
        if new is not None and new is not old:
            types[type_name] = new
        self._note_opt_out("", type_name, old, new)

    def quiet_hours(self, channel: str, value: str) -> None:
        wish = self._wish(channel)
        wish.quiet_hours = self._text(wish.quiet_hours, value)

    def daily_limit(self, channel: str, value: int | None) -> None:
        wish = self._wish(channel)
        old = wish.daily_limit
        if self._counts(old, old is not None and old.value == value):
            wish.daily_limit = Count(value, self._source, self.occurred_ms)
            self.is_changed = True

    def register_device(self, device_id: str, token: str, platform: str) -> None:
        """Registered again with the same token counts too: it may have had another holder since."""
        occurred_ms, devices = self.occurred_ms, self.profile.devices
        old = next((each for each in devices if each.device_id == device_id), None)
        removed_ms = self.profile.removed_devices.get(device_id, -1)
        if removed_ms >= occurred_ms or (removed_ms >= 0 and self._source == "import"):
            return  # an import cannot know that the phone was sold since the file was written
        if any(each.token == token and each.occurred_ms > occurred_ms for each in devices):
            return
        if old is not None:
            is_same = old.token == token and old.platform == platform
            if old.occurred_ms > occurred_ms or (
                is_same and (self._source == "import" or old.occurred_ms == occurred_ms)
            ):
                return
            if old.token != token:
                self._give_up("push", old.token, device_id)
        new = Device(device_id, token, platform, occurred_ms)
        # The same token under another device id is the app installed anew on the same phone.
        kept = [each for each in devices if each is not old and each.token != token]
        kept = sorted([*kept, new], key=lambda each: each.occurred_ms)
        for surplus in kept[:-MAX_DEVICES]:
            self._give_up("push", surplus.token, surplus.device_id)
        self.profile.devices = kept[-MAX_DEVICES:]
        self.profile.removed_devices.pop(device_id, None)
        self.claimed.append(Held("push", token, device_id, occurred_ms))
        self.is_changed = True

    def remove_device(self, device_id: str) -> None:
        removed = self.profile.removed_devices
        if removed.get(device_id, -1) >= self.occurred_ms:
            return
        old = next((each for each in self.profile.devices if each.device_id == device_id), None)
        if old is not None and old.occurred_ms > self.occurred_ms:
            return
        if old is not None:
            self.profile.devices = [each for each in self.profile.devices if each is not old]
            self._give_up("push", old.token, device_id)
        removed[device_id] = self.occurred_ms
        for forgotten in sorted(removed, key=removed.__getitem__)[:-MAX_DEVICES]:
            del removed[forgotten]
        self.is_changed = True

    def lose_device(self, device_id: str, address_hash: bytes, hash_of: AddressHash) -> None:
        """The token has another holder, or died; whatever token the device has by now stays."""
        for device in self.profile.devices:
            if device.device_id == device_id and hash_of("push", device.token) == address_hash:
                self.remove_device(device_id)
                return

    def suppress(self, channel: str, reason: str, until_ms: int) -> None:
        old = self.profile.suppressions.get(channel)
        new = Suppression(reason, self.occurred_ms, until_ms)
        if old != new and (old is None or old.occurred_ms <= new.occurred_ms):
            self.profile.suppressions[channel] = new
            self.is_changed = True

    def release(self, channel: str) -> None:
        old = self.profile.suppressions.get(channel)
        if old is not None and old.occurred_ms <= self.occurred_ms:
            del self.profile.suppressions[channel]
            self.is_changed = True

    def delete(self) -> None:
        """Forget the person. What they turned off themselves stays off: it names nobody, and an
        import after the deletion must not reach someone who said stop."""
        old = self.profile
        for channel, text in (("email", old.email), ("sms", old.phone)):
            if text is not None and text.value:
                self._give_up(channel, text.value, "")
        for device in old.devices:
            self._give_up("push", device.token, device.device_id)
        self.profile = Profile(
            channels={
                channel: ChannelPreference(enabled=wish.enabled)
                for channel, wish in old.channels.items()
                if _is_own_stop(wish.enabled)
            },
            types={name: choice for name, choice in old.types.items() if _is_own_stop(choice)},
            deleted_ms=self.occurred_ms,
        )
        self.is_changed = True

    def _counts(self, old: _Said | None, is_same: bool) -> bool:
        if old is None:
            return True
        if not outranks(old, self._source, self.occurred_ms):
            return False
        if not is_same:
            return True
        # Said again: only a newer word of somebody in particular needs to be remembered.
        return self._source != "import" and (
            old.occurred_ms < self.occurred_ms or old.source != self._source
        )

    def _text(self, old: Text | None, value: str) -> Text | None:
        if (old is None and not value) or not self._counts(
            old, old is not None and old.value == value
        ):
            return old
        self.is_changed = True
        return Text(value, self._source, self.occurred_ms)

    def _choice(self, old: Choice | None, enabled: bool | None) -> Choice | None:
        if enabled is None:
            if old is None or not outranks(old, self._source, self.occurred_ms):
                return old
            self.is_changed = True
            return None
        if not self._counts(old, old is not None and old.enabled == enabled):
            return old
        self.is_changed = True
        return Choice(enabled, self._source, self.occurred_ms)

    def _wish(self, channel: str) -> ChannelPreference:
        return self.profile.channels.setdefault(channel, ChannelPreference())

    def _note_opt_out(
        self, channel: str, name: str, old: Choice | None, new: Choice | None
    ) -> None:
        is_new_stop = new is not None and not new.enabled and (old is None or old.enabled)
        if is_new_stop and self._source == "import":
            self.opted_out.append((channel, name))

    def _moved(self, channel: str, old: Text | None, new: Text | None) -> None:
        before, after = old.value if old else "", new.value if new else ""
        if before == after:
            return
        self.profile.suppressions.pop(channel, None)  # it spoke of the address that is gone
        if before:
            self._give_up(channel, before, "")
        if after:
            self.claimed.append(Held(channel, after, "", self.occurred_ms))

    def _give_up(self, channel: str, address: str, device_id: str) -> None:
        self.given_up.append(Held(channel, address, device_id, self.occurred_ms))


def _imported(value: str, occurred_ms: int) -> Text | None:
    return Text(value, "import", occurred_ms) if value else None


def _is_own_stop(choice: Choice | None) -> bool:
    return choice is not None and choice.source == "user" and not choice.enabled
