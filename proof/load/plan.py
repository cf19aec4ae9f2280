"""What a load is asked to do: how many people, how fast, and how often it does what."""

import msgspec

from schemas.delivery import LANES, Lane

STEPS: dict[str, float] = {
    "ask": 100, "ask_many": 3, "ask_again": 8, "contradict": 3, "blunder": 1, "cancel": 4,
    "announce": 1.5, "announce_again": 1, "refuse": 4, "consent": 2, "move": 1, "hand_over": 1.5,
    "bring_file": 1, "pause": 0.4, "sleep": 0.5, "want_less": 0.5, "lose_phone": 0.5, "bar": 0.5,
    "leave_audience": 0.5, "go_away": 0.5,
}  # fmt: skip
"""How often each thing is done, relative to the others."""

KINDS: dict[str, float] = {"code": 3, "alarm": 2, "order": 5, "news": 3, "offer": 1}


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    first: int
    """The number of the first intent: no two of an installation have the same."""
    people: int = 60
    bad_mailboxes_among: int = 60
    """Only so many of the people may have one: it spoils every request that it is part of."""
    seconds: float = 15.0
    rate: float = 25.0
    """Steps a second."""
    steps: dict[str, float] = msgspec.field(default_factory=lambda: dict(STEPS))
    kinds: dict[str, float] = msgspec.field(default_factory=lambda: dict(KINDS))
    lanes: tuple[Lane, ...] = LANES
    misplaced_share: float = 0.05
    newer_share: float = 0.0
    """Of records written by producers of a later schema version, with a field that we do not know."""
    hot_share: float = 0.1
    """Of requests that go to the same three people."""
    recent: int = 20
    """Of so many keys said last one is said again, or for something else."""
    ttl_seconds: int | None = None
    """Of each request and broadcast, instead of the type's."""


def doing(**weights: float) -> dict[str, float]:
    """The usual mix with other weights."""
    return STEPS | weights
