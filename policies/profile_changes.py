"""How a profile changes: whose word counts, and what follows for addresses and senders.

A person's own word yields only to a newer word of that person; between anybody else the newer
one counts. So the order in which words of different people arrive does not matter. An import
that says what is known already says nothing.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from schemas.profile import (
    Address,
    ChannelWish,
    Choice,
    Device,
    Profile,
    Source,
    Suppression,
    Wishes,
    Word,
    Words,
    pack_wishes,
    pack_words,
    unpack_words,
)

MAX_DEVICES = 32
"""The newest stay; an app that invents a device id at each start must not grow a profile for ever."""

AddressHash = Callable[[str, str], bytes]
"""(channel, address) to the keyed hash of it."""

_NOTHING = Profile()
_NO_WISH = ChannelWish()


class Held(NamedTuple):
    """An address that the recipient has from then on, or has no more, by its hash."""

    channel: str
    address_hash: bytes
    device_id: str
    occurred_ms: int


def outranks(old: Word | Choice | None, source: Source, occurred_ms: int) -> bool:
    """Whether a new word counts against what was said before."""
    if old is None or (source == "user") > (old.source == "user"):
        return True
    return (source == "user") == (old.source == "user") and occurred_ms >= old.occurred_ms


class ProfileEdit:
    """One profile being changed, and what follows from its changes.

    `by` must be called before any change: it says whose word the next ones are.
    """

    email: Address | None
    phone: Address | None
    deleted_ms: int
    _name: str
    _locale: str
    _zone: str
    _channels: dict[str, ChannelWish]
    _types: dict[str, bool]
    _devices: Sequence[Device]
    _suppressions: dict[str, Suppression]
    _removed: dict[str, int]
    _packed_words: bytes
    _unpacked: Words | None
    """Only when somebody asked for them are they packed again."""

    def __init__(self, profile: Profile | None, hash_of: AddressHash) -> None:
        self._hash_of = hash_of
        self.is_changed = False
        self.moves: list[tuple[bool, Held]] = []
        """Addresses claimed (True) or given up, in that order: one import may do both with one."""
        self.opted_out: list[tuple[str, str]] = []
        """(channel, "") or ("", type) turned off by an import: senders would not hear of it."""
        self._source: Source = "producer"
        self.occurred_ms = 0
        self._take_up(profile or _NOTHING)

    def by(self, source: Source, occurred_ms: int) -> bool:
        """Whose word the next changes are; False when the recipient was deleted since."""
        self._source = source
        self.occurred_ms = occurred_ms
        return occurred_ms > self.deleted_ms

    def profile(self) -> Profile:
        """What holds after all changes so far."""
        words = self._packed_words if self._unpacked is None else pack_words(self._unpacked)
        return Profile(
            self._name, self._locale, self.email, self.phone, tuple(self._devices),
            self._suppressions, self._removed, self.deleted_ms,
            pack_wishes(Wishes(self._zone, self._channels, self._types)), words,
        )  # fmt: skip

    def forget_consequences(self) -> None:
        """They were seen to."""
        if self.moves or self.opted_out:
            self.moves, self.opted_out = [], []

    def say_name(self, value: str) -> None:
        self._name = self._text("name", self._name, value)

    def say_locale(self, value: str) -> None:
        self._locale = self._text("locale", self._locale, value)

    def say_timezone(self, value: str) -> None:
        self._zone = self._text("timezone", self._zone, value)

    def say_email(self, value: str) -> None:
        self.email = self._address("email", "email", self.email, value)

    def say_phone(self, value: str) -> None:
        self.phone = self._address("phone", "sms", self.phone, value)

    def channel_enabled(self, channel: str, enabled: bool | None) -> None:
        """None takes back what was said."""
        wish = self._channels.get(channel, _NO_WISH)
        new = self._choice(f"{channel}.enabled", wish.enabled, enabled)
        if new is not wish.enabled:
            self._channels[channel] = msgspec.structs.replace(wish, enabled=new)
            if new is False:
                self._note_opt_out(channel, "")

    def type_enabled(self, type_name: str, enabled: bool) -> None:
        old = self._types.get(type_name)
        new = self._choice(f"types.{type_name}", old, enabled)
        if new is not None and new is not old:
            self._types[type_name] = new
            if new is False:
                self._note_opt_out("", type_name)

    def quiet_hours(self, channel: str, value: str) -> None:
        wish = self._channels.get(channel, _NO_WISH)
        new = self._text(f"{channel}.quiet_hours", wish.quiet_hours, value)
        if new is not wish.quiet_hours:
            self._channels[channel] = msgspec.structs.replace(wish, quiet_hours=new)

    def daily_limit(self, channel: str, value: int | None) -> None:
        wish = self._channels.get(channel, _NO_WISH)
        if self._counts(f"{channel}.daily_limit", is_same=wish.daily_limit == value):
            self._note(f"{channel}.daily_limit")
            self._channels[channel] = msgspec.structs.replace(wish, daily_limit=value)

    def register_device(self, device_id: str, token: str, platform: str) -> None:
        """Registered again with the same token counts too: it may have had another holder since."""
        occurred_ms, devices = self.occurred_ms, self._devices
        removed_ms = self._removed.get(device_id, -1)
        if removed_ms >= occurred_ms:
            self._had_device(device_id, token, until_ms=removed_ms)
            return
        if removed_ms >= 0 and self._source == "import":
            return  # an import cannot know that the phone was sold since the file was written
        new = Device(device_id, token, platform, occurred_ms, self._hash_of("push", token))
        if devices:
            old = next((each for each in devices if each.device_id == device_id), None)
            if any(each.token == token and each.occurred_ms > occurred_ms for each in devices):
                return
            if old is not None and not self._replaces(old, new):
                if old.token != token:
                    self._had_device(device_id, token, until_ms=old.occurred_ms)
                return
            # The same token under another device id is the app installed anew on the same phone.
            kept = [each for each in devices if each is not old and each.token != token]
            kept = sorted([*kept, new], key=lambda each: each.occurred_ms)
            self._claim_token(new)
            for surplus in kept[:-MAX_DEVICES]:
                self._give_up("push", surplus.hash, surplus.device_id)
            self._devices = kept[-MAX_DEVICES:]
        else:
            self._devices = (new,)
            self._claim_token(new)
        if removed_ms >= 0:
            self._removed = {name: at for name, at in self._removed.items() if name != device_id}
        self.is_changed = True

    def had_device(self, device_id: str, token: str) -> None:
        """It was registered before the recipient was deleted, and told of only now."""
        self._had_device(device_id, token, until_ms=self.deleted_ms)

    def remove_device(self, device_id: str) -> None:
        if self._removed.get(device_id, -1) >= self.occurred_ms:
            return
        old = next((each for each in self._devices if each.device_id == device_id), None)
        if old is not None and old.occurred_ms > self.occurred_ms:
            return
        if old is not None:
            self._devices = [each for each in self._devices if each is not old]
            self._give_up("push", old.hash, device_id)
        removed = {**self._removed, device_id: self.occurred_ms}
        for forgotten in sorted(removed, key=removed.__getitem__)[:-MAX_DEVICES]:
            del removed[forgotten]
        self._removed = removed
        self.is_changed = True

    def lose_device(self, device_id: str, address_hash: bytes) -> None:
        """The token has another holder, or died; whatever token the device has by now stays."""
        if any(d.device_id == device_id and d.hash == address_hash for d in self._devices):
            self.remove_device(device_id)

    def suppress(self, channel: str, reason: str, until_ms: int) -> None:
        old = self._suppressions.get(channel)
        new = Suppression(reason, self.occurred_ms, until_ms)
        if old != new and (old is None or old.occurred_ms <= new.occurred_ms):
            self._suppressions = {**self._suppressions, channel: new}
            self.is_changed = True

    def release(self, channel: str) -> None:
        old = self._suppressions.get(channel)
        if old is not None and old.occurred_ms <= self.occurred_ms:
            self._lift(channel)
            self.is_changed = True

    def delete(self) -> None:
        """Forget the person. What they turned off themselves stays off: it names nobody, and an
        import after the deletion must not reach someone who said stop."""
        for channel, address in (("email", self.email), ("sms", self.phone)):
            if address is not None:
                self._give_up(channel, address.hash, "")
        for device in self._devices:
            self._give_up("push", device.hash, device.device_id)
        words, channels, types, kept = self._words, self._channels, self._types, Words()

        def is_own_stop(field: str, enabled: bool | None) -> bool:
            word = words.get(field)
            if enabled is not False or word is None or word.source != "user":
                return False
            kept[field] = word
            return True

        self._take_up(_NOTHING)
        self._channels = {
            channel: ChannelWish(enabled=False)
            for channel, wish in channels.items()
            if is_own_stop(f"{channel}.enabled", wish.enabled)
        }
        self._types = {
            name: False for name, enabled in types.items() if is_own_stop(f"types.{name}", enabled)
        }
        self._unpacked = kept
        self.deleted_ms = self.occurred_ms
        self.is_changed = True

    def _take_up(self, profile: Profile) -> None:
        wishes = profile.wishes
        self._name, self._locale = profile.name, profile.locale
        self.email, self.phone = profile.email, profile.phone
        self._devices = profile.devices
        self._suppressions = profile.suppressions
        self.deleted_ms = profile.deleted_ms
        self._zone = wishes.timezone
        # Wishes are shared by all who have the same ones.
        self._channels, self._types = dict(wishes.channels), dict(wishes.types)
        self._removed = profile.removed_devices
        self._packed_words = profile.packed_words
        self._unpacked = None

    @property
    def _words(self) -> Words:
        if self._unpacked is None:
            self._unpacked = unpack_words(self._packed_words)
        return self._unpacked

    def _note(self, field: str) -> None:
        self._words[field] = Word(self._source, self.occurred_ms)
        self.is_changed = True

    def _counts(self, field: str, *, is_same: bool) -> bool:
        old = self._words.get(field)
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

    def _text(self, field: str, old: str, value: str) -> str:
        is_nothing = not value and field not in self._words
        if is_nothing or not self._counts(field, is_same=old == value):
            return old
        self._note(field)
        return value

    def _choice(self, field: str, old: bool | None, enabled: bool | None) -> bool | None:
        words = self._words
        if enabled is None:
            if field in words and outranks(words[field], self._source, self.occurred_ms):
                del words[field]
                self.is_changed = True
                return None
            return old
        if not self._counts(field, is_same=old is enabled):
            return old
        self._note(field)
        return enabled

    def _note_opt_out(self, channel: str, name: str) -> None:
        if self._source == "import":
            self.opted_out.append((channel, name))

    def _address(self, field: str, channel: str, old: Address | None, value: str) -> Address | None:
        before = old.text if old else ""
        after = self._text(field, before, value)
        if before == after:
            return old
        self._lift(channel)  # what was barred is the address that is gone
        if old is not None:
            self._give_up(channel, old.hash, "")
        return self._claim(channel, after)

    def _claim(self, channel: str, text: str) -> Address | None:
        if not text:
            return None
        new = Address(text, self._hash_of(channel, text), self.occurred_ms)
        self.moves.append((True, Held(channel, new.hash, "", self.occurred_ms)))
        return new

    def _lift(self, channel: str) -> None:
        if channel in self._suppressions:
            others = self._suppressions.items()
            self._suppressions = {name: bar for name, bar in others if name != channel}

    def _replaces(self, old: Device, new: Device) -> bool:
        is_same = old.token == new.token and old.platform == new.platform
        if old.occurred_ms > new.occurred_ms or (
            is_same and (self._source == "import" or old.occurred_ms == new.occurred_ms)
        ):
            return False
        if old.token != new.token:
            self._give_up("push", old.hash, old.device_id)
        return True

    def _had_device(self, device_id: str, token: str, *, until_ms: int) -> None:
        """Its registration comes too late to change the profile; but whoever had registered the
        token before has lost it."""
        had = Held("push", self._hash_of("push", token), device_id, self.occurred_ms)
        self.moves += [(True, had), (False, had._replace(occurred_ms=until_ms))]

    def _claim_token(self, device: Device) -> None:
        held = Held("push", device.hash, device.device_id, device.occurred_ms)
        self.moves.append((True, held))

    def _give_up(self, channel: str, address_hash: bytes, device_id: str) -> None:
        self.moves.append((False, Held(channel, address_hash, device_id, self.occurred_ms)))
