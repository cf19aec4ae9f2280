"""What senders' tails have said since they begin, kept for `StopList` to ask.

Facts are kept under 60-bit hashes of whom they are about, in 65 to 250 bytes each.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from policies import stop_facts as facts
from schemas.delivery import Channel
from schemas.profile import Source

Scope = Literal["channel", "type", "tenant", "provider"]
_ADDRESSED: Sequence[Channel] = ("email", "sms")
"""Each has one address a user; push has devices."""


class StopMemory:
    """Everything noted. One owner; nothing in it waits or reads a clock."""

    def __init__(self) -> None:
        self._channels: dict[int, int] = {}
        self._types: dict[int, int] = {}
        self._tokens: dict[int, int] = {}
        self._devices: dict[int, int] = {}
        self._deleted: dict[int, int] = {}
        self._deletions: dict[int, int] = {}
        """Also of those who are known again: what was said before it counts no more, whoever said it."""
        self._addresses: dict[int, tuple[int, bytes]] = {}
        self._barred_users: dict[int, tuple[int, int]] = {}
        self._barred: dict[bytes, tuple[int, int]] = {}
        """Fact and when the bar ends; by address hash, and above by user and channel."""
        self._cancelled: dict[bytes, int] = {}
        self._paused: frozenset[str] = frozenset()
        self._latest = 0
        """Equal facts in a row are kept as one integer."""
        self.version = 0
        """Changes with everything noted: what was asked at this version has the same answer."""

    def note_choice(
        self,
        user_id: str,
        enabled: bool | None,
        *,
        channel: str = "",
        type_name: str = "",
        source: Source,
        occurred_ms: int,
        appended_ms: int,
    ) -> None:
        """A channel or a type was turned on or off; None takes back what was said, and outranks nobody
        then."""
        table, about = (self._channels, channel) if channel else (self._types, type_name)
        key, rank = facts.about(user_id, about), facts.rank_of_word(source, occurred_ms)
        if enabled is not None:
            self._note(table, key, rank, appended_ms, enabled)
        elif key in table and facts.yields_to(table[key], rank):
            del table[key]
            self.version += 1

    def note_imported_opt_outs(
        self,
        user_ids: Sequence[str],
        *,
        channel: str = "",
        type_name: str = "",
        occurred_ms: int,
        appended_ms: int,
    ) -> None:
        """An import turned off one channel or type of all of them. There may be millions, and a sender
        that starts reads them all before its first call."""
        table, about = (self._channels, channel) if channel else (self._types, type_name)
        rank = facts.rank_of_word("import", occurred_ms)
        keys = facts.about_each(user_ids, about)
        if table.keys().isdisjoint(keys):  # as a rule: nothing was said of them before
            table.update(dict.fromkeys(keys, facts.fact(rank, appended_ms, False)))
            self.version += 1
        else:
            for key in keys:
                self._note(table, key, rank, appended_ms, False)

    def note_address(
        self,
        user_id: str,
        channel: Channel,
        address_hash: bytes,
        *,
        source: Source,
        occurred_ms: int,
        appended_ms: int,
    ) -> None:
        """The user's address of this channel is another one, or (b"") none, from now on."""
        deletion = self._deletions.get(facts.about(user_id))
        if deletion is not None and occurred_ms <= facts.said_ms(deletion):
            return
        self._note_alive(user_id, occurred_ms, appended_ms)
        rank = facts.rank_of_word(source, occurred_ms)
        key = facts.about(user_id, channel)
        old = self._addresses.get(key)
        if facts.yields_to(old[0] if old else None, rank):
            said = facts.fact(rank, appended_ms, bool(address_hash))
            self._addresses[key] = (said, address_hash)
            self.version += 1

    def note_device_registered(
        self, user_id: str, device_id: str, token_hash: bytes, *, occurred_ms: int, appended_ms: int
    ) -> None:
        self._note_alive(user_id, occurred_ms, appended_ms)
        rank = facts.rank_of_device(occurred_ms, is_removal=False)
        self._note(self._devices, facts.about(user_id, device_id), rank, appended_ms, True)
        self._note(self._tokens, facts.about(user_id, token_hash), rank, appended_ms, True)

    def note_device_removed(
        self, user_id: str, device_id: str, *, occurred_ms: int, appended_ms: int
    ) -> None:
        """Wins over a registration of the same instant, as it does where profiles are kept."""
        key = facts.about(user_id, device_id)
        rank = facts.rank_of_device(occurred_ms, is_removal=True)
        self._note(self._devices, key, rank, appended_ms, False)

    def note_token_lost(
        self, user_id: str, token_hash: bytes, *, occurred_ms: int, appended_ms: int
    ) -> None:
        """The token has another holder, or died; the device may have another one by now."""
        key = facts.about(user_id, token_hash)
        rank = facts.rank_of_device(occurred_ms, is_removal=True)
        self._note(self._tokens, key, rank, appended_ms, False)

    def note_deleted(self, user_id: str, *, occurred_ms: int, appended_ms: int) -> None:
        """The user is forgotten; whatever was decided for them before stops, until they are known
        again: then by any address, though they themselves had named another one before."""
        key = facts.about(user_id)
        known = self._deletions.get(key)
        if known is not None and occurred_ms <= facts.said_ms(known):
            return
        rank = facts.rank_of_device(occurred_ms, is_removal=True)
        self._note(self._deleted, key, rank, appended_ms, False)
        rank = facts.rank_of_word("producer", occurred_ms)
        self._note(self._deletions, key, rank, appended_ms, False)
        for channel in _ADDRESSED:
            none = facts.fact(rank, appended_ms, False), b""
            self._addresses[facts.about(user_id, channel)] = none

    def note_barred(
        self, address_hash: bytes, *, occurred_ms: int, appended_ms: int, until_ms: int = 0
    ) -> None:
        """An address was suppressed, whoever has it; `until_ms` 0: until it is released."""
        facts.bar(self._barred, address_hash, occurred_ms, appended_ms, until_ms or facts.FOR_EVER)
        self.version += 1

    def note_unbarred(self, address_hash: bytes, *, occurred_ms: int, appended_ms: int) -> None:
        facts.bar(self._barred, address_hash, occurred_ms, appended_ms, 0)
        self.version += 1

    def note_user_barred(
        self,
        user_id: str,
        channel: Channel,
        *,
        occurred_ms: int,
        appended_ms: int,
        until_ms: int = 0,
    ) -> None:
        """The address that the user has at this time was suppressed."""
        key = facts.about(user_id, channel)
        facts.bar(self._barred_users, key, occurred_ms, appended_ms, until_ms or facts.FOR_EVER)
        self.version += 1

    def note_user_unbarred(
        self, user_id: str, channel: Channel, *, occurred_ms: int, appended_ms: int
    ) -> None:
        facts.bar(self._barred_users, facts.about(user_id, channel), occurred_ms, appended_ms, 0)
        self.version += 1

    def note_cancelled(self, notification_or_broadcast_id: bytes, *, appended_ms: int) -> None:
        """It cannot be taken back. The last one counts, if it comes before another or after it."""
        last_ms = self._cancelled.get(notification_or_broadcast_id, 0)
        self._cancelled[notification_or_broadcast_id] = max(last_ms, appended_ms)
        self.version += 1

    def note_control(self, scope: Scope, name: str, *, is_paused: bool) -> None:
        """The last word on it holds, however long ago it was said."""
        control = f"{scope}:{name}"
        self._paused = self._paused | {control} if is_paused else self._paused - {control}
        self.version += 1

    def cancelled(self, ids: Iterable[bytes]) -> Mapping[bytes, int]:
        """Those of these notifications and broadcasts that were called off, and when they last were."""
        cancelled = self._cancelled
        return {each: cancelled[each] for each in cancelled.keys() & ids}

    def paused_by(
        self, *, channel: str = "", type_name: str = "", tenant: str = "", provider: str = ""
    ) -> str | None:
        """The control that holds it back; None when there is none."""
        paused = self._paused
        if not paused:
            return None
        for control in (
            f"channel:{channel}", f"type:{type_name}", f"tenant:{tenant}", f"provider:{provider}"
        ):  # fmt: skip
            if control in paused:
                return control
        return None

    def is_paused(self, control: str) -> bool:
        """Whether this key of a `Park` still holds."""
        return control in self._paused

    def forget(self, before_ms: int) -> None:
        """Drop what came earlier: decisions since have seen it. Takes about 0.3 s per million facts."""
        for table in (
            self._channels, self._types, self._tokens, self._devices, self._deleted, self._deletions
        ):  # fmt: skip
            facts.drop(
                table, [key for key, fact in table.items() if facts.came_ms(fact) < before_ms]
            )
        addresses, users, barred = self._addresses, self._barred_users, self._barred
        facts.drop(
            addresses,
            [key for key, (fact, _) in addresses.items() if facts.came_ms(fact) < before_ms],
        )
        facts.drop(
            users, [key for key, (fact, _) in users.items() if facts.came_ms(fact) < before_ms]
        )
        facts.drop(
            barred, [each for each, (fact, _) in barred.items() if facts.came_ms(fact) < before_ms]
        )
        cancelled = self._cancelled
        facts.drop(cancelled, [each for each, came_ms in cancelled.items() if came_ms < before_ms])

    def __len__(self) -> int:
        """How many facts are held."""
        choices = len(self._channels) + len(self._types)
        places = len(self._addresses) + len(self._devices) + len(self._tokens)
        places += len(self._deleted) + len(self._deletions)
        bars = len(self._barred) + len(self._barred_users)
        return choices + places + bars + len(self._cancelled)

    def _note_alive(self, user_id: str, occurred_ms: int, appended_ms: int) -> None:
        """Something was said of the user; matters only after a deletion."""
        key = facts.about(user_id)
        if key in self._deleted:
            rank = facts.rank_of_device(occurred_ms, is_removal=False)
            self._note(self._deleted, key, rank, appended_ms, True)

    def _note(
        self, table: dict[int, int], key: int, rank: int, appended_ms: int, is_on: bool
    ) -> None:
        old = table.get(key)
        if facts.yields_to(old, rank):
            fact = facts.fact(rank, appended_ms, is_on)
            if fact == self._latest:  # as of thousands of people in a row, after an import
                fact = self._latest
            table[key] = self._latest = fact
            self.version += 1
