"""Deciding stages that break a promise."""

from collections.abc import Callable, Sequence
from itertools import repeat
from types import SimpleNamespace
from typing import Any

import msgspec

import agents.accept_broadcast
import agents.decide
import agents.facts
import agents.fan_out
import agents.keep_addresses
import agents.notices
from agents.dedup import Asked, Dedup, Standing
from policies.caps import NOTHING
from policies.profile_changes import ProfileEdit
from policies.zones import Zones
from proof.mutants.base import replace
from proof.mutants.sending import ask_no_stop
from schemas.notification import Message
from schemas.profile import Profile
from streams.engine.running import StageRun
from tables import caps, recipients
from tables.state import State

_EDGE_MS = 5_000
"""Of the window for repeats: real producers meet so much of it in a minute and a half."""
_DAY_MS = 86_400_000


def forget_what_was_decided() -> None:
    """A window of deduplication that is always over."""
    replace(Dedup, "judge", lambda self, asked: "new")


def take_the_window_for_shorter() -> None:
    _move_the_window(-_EDGE_MS)


def take_the_window_for_longer() -> None:
    _move_the_window(_EDGE_MS)


def take_a_conflict_for_a_repeat() -> None:
    judge = Dedup.judge

    def judge_kindly(self: Dedup, asked: Asked) -> Standing:
        standing = judge(self, asked)
        return "duplicate" if standing == "idempotency_conflict" else standing

    replace(Dedup, "judge", judge_kindly)


def take_local_time_for_utc() -> None:
    get = Zones.get
    replace(Zones, "get", lambda self, name: get(self, "UTC"))


def count_no_caps() -> None:
    replace(caps, "get_many", lambda state, keys: [NOTHING] * len(keys))


def know_people_for_ever() -> None:
    """Decisions look people up once; senders trust them."""
    known: dict[str, Profile | None] = {}

    def get_many(state: State, user_ids: Sequence[str]) -> list[Profile | None]:
        found = zip(user_ids, recipients.get_many(state, user_ids), strict=True)
        known.update({each: profile for each, profile in found if known.get(each) is None})
        return [known[each] for each in user_ids]

    replace(agents.decide, "recipients", SimpleNamespace(get_many=get_many))
    ask_no_stop()


def keep_no_opt_out() -> None:
    """What people turn off is passed over where decisions are made; senders hear of it themselves."""
    choice = ProfileEdit._choice

    def choice_unless_off(
        self: ProfileEdit, field: str, old: bool | None, enabled: bool | None
    ) -> bool | None:
        return old if enabled is False else choice(self, field, old, enabled)

    replace(ProfileEdit, "_choice", choice_unless_off)


def halve_the_time_to_live() -> None:
    _live(lambda lives_ms: lives_ms // 2)


def let_nothing_expire() -> None:
    _live(lambda lives_ms: lives_ms + _DAY_MS)


def send_all_at_once() -> None:
    """Whatever is said of when."""
    replace(Message, "send_ms", lambda self: None)


def pass_over_the_last_member() -> None:
    next_members = agents.fan_out._next_members

    def next_but_one(*arguments: Any) -> Any:
        turn = next_members(*arguments)
        return turn._replace(members=turn.members[:-1])

    replace(agents.fan_out, "_next_members", next_but_one)


def decide_where_it_was_found() -> None:
    """A misplaced record meets the state of another partition."""
    replace(StageRun, "_homes", lambda self, batch: repeat(batch.partition, len(batch.items)))


def leave_sold_phones_alone() -> None:
    claim = agents.keep_addresses._claim

    def claim_in_silence(address: Any, former: Any, event: Any, derived: Any) -> bool:
        return claim(address, former, event, [])

    replace(agents.keep_addresses, "_claim", claim_in_silence)


def _live(changed: Callable[[int], int]) -> None:
    body_of = agents.notices.body_of

    def body_that_lives(message: Any, kind: Any, *, appended_ms: int, **more: Any) -> Any:
        body = body_of(message, kind, appended_ms=appended_ms, **more)
        lives_ms = max(0, body.expires_ms - appended_ms)
        return msgspec.structs.replace(body, expires_ms=appended_ms + changed(lives_ms))

    for module in (agents.decide, agents.accept_broadcast):
        replace(module, "body_of", body_that_lives)


def _move_the_window(by_ms: int) -> None:
    begin = Dedup.__init__

    def begin_moved(self: Dedup, state: State, window_ms: int) -> None:
        begin(self, state, window_ms + by_ms)

    replace(Dedup, "__init__", begin_moved)


def rank_all_receipts_alike() -> None:
    replace(agents.facts, "state_rank", lambda status: 1)
