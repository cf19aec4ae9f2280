"""What blows, storms and dead addresses excuse: the ends that only trouble may bring about."""

from proof.checker.evidence import Circumstances
from proof.checker.people import Person

End = tuple[str, str]

BROKER, DECIDE = "broker", "decide"
"""Roles that blows name besides channels."""
CLEAN_BLOWS = frozenset(
    {
        "stop", "join", "restart", "crash", "full disk", "failing disk", "names", "few-files",
        "little-memory", "one hangs",
    }
)  # fmt: skip
"""What leaves nothing in doubt: a worker that drains, or takes partitions from others, or has no
room to write, or too little of something, until it ends by it; and a broker that ends in whatever way,
or one of several that hangs, since workers wait for it."""

_THROTTLED = frozenset({("expired", "throttled"), ("expired", "breaker_open")})
_UNREACHED = frozenset(
    {("expired", "unreachable"), ("expired", "server_error"), ("failed", "attempts_exhausted")}
)
_SLOW = frozenset({("in_doubt", "timeout"), ("in_doubt", "cut_off")})
_LOST = _SLOW | {("in_doubt", "connection_lost"), ("in_doubt", "server_error")}
_OF_STORMS: dict[str, frozenset[End]] = {
    "throttle": _THROTTLED,
    "refuse": _THROTTLED | _UNREACHED,
    "reject": frozenset({("failed", "rejected_by_provider")}),
    "lose": _THROTTLED | _UNREACHED | _LOST,
    "delay": _THROTTLED | _SLOW,
}
_BREAKER_MS = 20_000
"""How long a breaker may stay open after its storm: until a probe is answered, five seconds after the
last one; and that is the next call, which may be long in coming where little is sent."""
_OF_OPEN_BREAKERS = frozenset({("expired", "breaker_open")})
_OF_BLOWS = frozenset({("in_doubt", "outcome_lost")})
_OF_DRAINS = frozenset({("expired", "draining")})
_REBALANCE_MS = 10_000
"""So long after a blow to one worker another may have to drain: it is told by its next heartbeat that a
member has left, or when the session of one that died is over."""
_NONE: frozenset[End] = frozenset()


class Troubles:
    def __init__(self, circumstances: Circumstances) -> None:
        self._circumstances = circumstances
        self._is_quiet = not circumstances.blows and not circumstances.storms
        self._is_dead = circumstances.dead_addresses

    def ends(self, channel: str, from_ms: int, until_ms: int) -> frozenset[End]:
        """What may have happened to a delivery that was under way in this span."""
        if self._is_quiet or channel == "in_app":
            return _NONE
        return self._ends(channel, from_ms, until_ms)

    def are_near(self, role: str, from_ms: int, until_ms: int, *, lag_ms: int) -> bool:
        """Whether a worker of the role or its providers had any in this span, or the broker, which may
        be away for as long as `lag_ms`, in it or that much before."""
        since_ms = {role: from_ms, BROKER: from_ms - lag_ms}
        return any(
            each.channel == role and each.from_ms <= until_ms and from_ms <= each.until_ms
            for each in self._circumstances.storms
        ) or any(
            each.role in since_ms and since_ms[each.role] <= each.at_ms <= until_ms
            for each in self._circumstances.blows
        )

    def is_dead(self, person: Person, channel: str) -> bool:
        """Whether the provider refuses an address that the user has, or had."""
        if not self._is_dead:
            return False
        return any(
            isinstance(word.value, str) and word.value.startswith(self._is_dead)
            for about in person.addresses(channel)
            for word in person.of(about)
        )

    def _ends(self, channel: str, from_ms: int, until_ms: int) -> frozenset[End]:
        ends = set[End]()
        for storm in self._circumstances.storms:
            if storm.channel == channel and storm.from_ms <= until_ms and from_ms <= storm.until_ms:
                ends.update(*(_OF_STORMS[effect] for effect in storm.effects))
            elif storm.channel == channel and 0 < from_ms - storm.until_ms <= _BREAKER_MS:
                ends.update(*(_OF_STORMS[effect] & _OF_OPEN_BREAKERS for effect in storm.effects))
        for blow in self._circumstances.blows:
            if blow.role not in (channel, BROKER) or blow.at_ms > until_ms:
                continue
            if from_ms - _REBALANCE_MS <= blow.at_ms:
                ends |= _OF_DRAINS
            if from_ms <= blow.at_ms and blow.what not in CLEAN_BLOWS:
                ends |= _OF_BLOWS
        return frozenset(ends)
