"""Reasons to stop a delivery that is already queued, remembered since the senders' tails begin.

A sender notes what it tails and asks once more before each request. What a person said about
themselves counts whenever it was said: the decision may have been made before it was read.
What others said (an import, a producer's sync) counts only against deliveries decided before
it came, since a decision made later has weighed it against the person's own word. So does a
deletion: a decision made later knows who was imported or asked for since, which no tail tells.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from policies import stop_facts as facts
from policies.quiet_times import quiet_times
from policies.reasons import Reason
from policies.rules import Rules
from policies.stop_memory import StopMemory
from policies.verdicts import Defer, Deliver, Settle
from schemas.delivery import Body, Channel, Target
from schemas.receipt import Status

HORIZON_MS = 7 * 86_400_000
"""How far back the tails go. An older delivery may have missed a stop, so it is never sent."""
_LOOK_MS = HORIZON_MS // 2
"""Before a cancellation is forgotten, all that waits has asked for it. The other half is for workers
that stand still."""


@dataclass(frozen=True, slots=True)
class Go:
    """Nothing speaks against sending."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Settle it."""

    status: Status
    reason: Reason


@dataclass(frozen=True, slots=True)
class Park:
    """Keep it until the control is lifted; `control` is the key of the record on `controls`."""

    control: str


@dataclass(frozen=True, slots=True)
class Wait:
    """It is no time of day for it, until then."""

    until_ms: int
    reason: Reason


Against = Stop | Park | Wait
StopVerdict = Go | Against

GO = Go()
_EXPIRED = Stop("expired", "ttl")
_TOO_OLD = Stop("expired", "too_old")
_CANCELLED = Stop("cancelled", "cancelled")
_SUPPRESSED = Stop("suppressed", "suppressed_address")
_ADDRESS_GONE = Stop("suppressed", "address_gone")
_OPTED_OUT_CHANNEL = Stop("suppressed", "opted_out_channel")
_OPTED_OUT_TYPE = Stop("suppressed", "opted_out_type")


_CROWD = 8
"""So many at a time are asked about together."""

_KeyT = TypeVar("_KeyT")


def is_about(cancelled_ms: int, accepted_ms: int, window_ms: int) -> bool:
    """Whether a cancellation means the request that was accepted then. It may have overtaken its
    request; but one that came a window before it is about an earlier request with the same key."""
    return accepted_ms < cancelled_ms + window_ms


def next_look_ms(until_ms: int, now_ms: int) -> int:
    """When to ask of what waits until then whether it was called off."""
    return min(until_ms, now_ms + _LOOK_MS)


class StopList(StopMemory):
    """Asked of a delivery, by what was noted."""

    def __init__(self, rules: Rules) -> None:
        super().__init__()
        self._window_ms = rules.dedup_window_seconds * 1000
        self._mandatory = frozenset(
            kind.name for kind in rules.types.values() if kind.category.mandatory
        )

    def check(
        self,
        target: Target,
        body: Body,
        channel: Channel,
        *,
        released_ms: int,
        now_ms: int,
        provider: str = "",
    ) -> StopVerdict:
        """Whether to send. `released_ms` is the batch's; a pause and the time of day are looked at
        last, so that what is not wanted any more does not wait for their end."""
        if self._is_cancelled(target.notification_id, body) or self._is_cancelled(
            body.broadcast_id, body
        ):
            return _CANCELLED
        if body.expires_ms <= now_ms:
            return _EXPIRED
        if released_ms + HORIZON_MS <= now_ms:
            return _TOO_OLD
        stop = self._stop(target, body, channel, released_ms, now_ms)
        if stop is not None:
            return stop
        if self._paused:
            control = self.paused_by(
                channel=channel, type_name=body.type, tenant=body.tenant, provider=provider
            )
            if control is not None:
                return Park(control)
        if target.quiet:
            return self._timely(target.quiet, now_ms, body.expires_ms)
        return GO

    def check_many(
        self,
        targets: Sequence[Target],
        bodies: Sequence[Body],
        channel: Channel,
        *,
        released_ms: int,
        now_ms: int,
        provider: str = "",
    ) -> dict[int, Against]:
        """As `check`, of all: the places of those that may not go, in order, and why."""
        stopped: dict[int, Against] = {}
        for place in sorted(self._suspects(targets, bodies, channel, released_ms, now_ms)):
            target = targets[place]
            verdict = self.check(
                target, bodies[target.body], channel,
                released_ms=released_ms, now_ms=now_ms, provider=provider,
            )  # fmt: skip
            if not isinstance(verdict, Go):
                stopped[place] = verdict
        return stopped

    def _is_cancelled(self, notification_or_broadcast_id: bytes, body: Body) -> bool:
        came_ms = self._cancelled.get(notification_or_broadcast_id)
        return came_ms is not None and is_about(came_ms, body.accepted_ms, self._window_ms)

    def _timely(self, quiet: str, now_ms: int, expires_ms: int) -> StopVerdict:
        verdict = quiet_times(quiet).verdict(now_ms, expires_ms)
        match verdict:
            case Deliver():
                return GO
            case Defer():
                return Wait(verdict.until_ms, verdict.reason)
            case Settle():
                return Stop(verdict.status, verdict.reason)

    def _stop(
        self, target: Target, body: Body, channel: Channel, released_ms: int, now_ms: int
    ) -> Stop | None:
        """Suppressions, the person's wishes, then where it goes: the order of the decision."""
        user_id, address_hash = target.user_id, target.address_hash
        of_channel = facts.about(user_id, channel)
        if address_hash in self._barred and self._barred[address_hash][1] > now_ms:
            return _SUPPRESSED
        if of_channel in self._barred_users and self._is_user_barred(of_channel, now_ms):
            return _SUPPRESSED
        type_name = body.type
        if type_name not in self._mandatory:
            fact = self._channels.get(of_channel)
            if fact is not None and facts.is_opt_out(fact, released_ms):
                return _OPTED_OUT_CHANNEL
            fact = self._types.get(facts.about(user_id, type_name))
            if fact is not None and facts.is_opt_out(fact, released_ms):
                return _OPTED_OUT_TYPE
        fact = self._deleted.get(facts.about(user_id))
        if fact is not None and not fact & 1 and facts.is_news(fact, released_ms):
            return _ADDRESS_GONE
        if channel == "push":
            fact = self._devices.get(facts.about(user_id, target.device_id))
            if fact is not None and not fact & 1:
                return _ADDRESS_GONE
            fact = self._tokens.get(facts.about(user_id, address_hash))
            if fact is not None and not fact & 1:
                return _ADDRESS_GONE
            return None
        said = self._addresses.get(of_channel)
        if said is not None and said[1] != address_hash and facts.is_news(said[0], released_ms):
            return _ADDRESS_GONE
        return None

    def _suspects(
        self,
        targets: Sequence[Target],
        bodies: Sequence[Body],
        channel: Channel,
        released_ms: int,
        now_ms: int,
    ) -> Iterable[int]:
        """The places of all that `check` might stop, and perhaps of others: nothing was said against
        most people, and asking a fact of all of them takes a third of asking each for all facts."""
        cancelled, about = self._cancelled, facts.about
        if (
            len(targets) < _CROWD
            or self._paused
            or released_ms + HORIZON_MS <= now_ms
            or any(body.expires_ms <= now_ms or body.broadcast_id in cancelled for body in bodies)
        ):
            return range(len(targets))
        users = [target.user_id for target in targets]
        of_channel = facts.about_each(users, channel)
        suspects = {
            *_held(cancelled, (target.notification_id for target in targets)),
            *_held(self._barred, (target.address_hash for target in targets)),
            *_held(self._barred_users, of_channel),
            *_off(self._channels, of_channel),
            *_off(self._deleted, (about(user) for user in users)),
            *self._untimely(targets, bodies, now_ms),
        }
        for type_name in {body.type for body in bodies}:
            if self._types:
                suspects.update(_off(self._types, facts.about_each(users, type_name)))
        if channel == "push":
            devices = (about(target.user_id, target.device_id) for target in targets)
            tokens = (about(target.user_id, target.address_hash) for target in targets)
            suspects.update(_off(self._devices, devices), _off(self._tokens, tokens))
        elif addresses := self._addresses:
            suspects.update(
                place
                for place, (key, target) in enumerate(zip(of_channel, targets, strict=True))
                if key in addresses and addresses[key][1] != target.address_hash
            )
        return suspects

    def _untimely(
        self, targets: Sequence[Target], bodies: Sequence[Body], now_ms: int
    ) -> Iterable[int]:
        """Those for whom it is no time of day: many have the same times."""
        times = [(target.quiet, target.body) for target in targets]
        late = {
            (quiet, body)
            for quiet, body in set(times)
            if quiet and self._timely(quiet, now_ms, bodies[body].expires_ms) is not GO
        }
        return [place for place, each in enumerate(times) if each in late] if late else ()

    def _is_user_barred(self, key: int, now_ms: int) -> bool:
        """A bar speaks of the address that the user had then, not of a newer one."""
        fact, until_ms = self._barred_users[key]
        said = self._addresses.get(key)
        if said is not None and facts.said_ms(said[0]) > facts.said_ms(fact):
            return False
        return until_ms > now_ms


def _held(table: Container[_KeyT], keys: Iterable[_KeyT]) -> Iterable[int]:
    """The places of keys that are there."""
    return [place for place, key in enumerate(keys) if key in table] if table else ()


def _off(table: Mapping[int, int], keys: Iterable[int]) -> Iterable[int]:
    """The places of those of whom the last word is no."""
    if not table:
        return ()
    return [place for place, key in enumerate(keys) if key in table and not table[key] & 1]
