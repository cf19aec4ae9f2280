"""What `faust.yaml` says about types, categories, defaults and limits, as the decisions read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from policies.legal import LegalWindows
from schemas.delivery import Channel, Lane

InDoubt = Literal["resend", "hold"]
"""What to do when nobody can know whether a message was sent: call again, or leave it."""


@dataclass(frozen=True, slots=True)
class Category:
    """What caps and quiet hours speak of: `transactional`, `marketing`, ..."""

    name: str
    mandatory: bool = False
    """Skips preferences, never a suppression."""
    in_doubt: InDoubt = "hold"
    lane: Lane = "normal"
    """The fastest lane its types may use."""
    quiet_hours: bool = False
    legal_windows: bool = False
    daily_limit: Mapping[Channel, int] = field(default_factory=dict)
    """Deliveries per user, channel and local calendar day; non-mandatory categories only."""
    over_limit: Literal["suppress", "defer"] = "suppress"


@dataclass(frozen=True, slots=True)
class NotificationType:
    """What happened: `order_confirmed`; the unit that preferences and templates speak of."""

    name: str
    category: Category
    channels: tuple[Channel, ...]
    fallback: tuple[Channel, ...] = ()
    ttl_seconds: int = 86_400
    sensitive: frozenset[str] = frozenset()
    """Fields of `data` that never reach logs, dead-letter listings or receipts."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `count` in any `window_seconds`."""

    count: int
    window_seconds: float


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for a recipient who said nothing."""

    timezone: str = "UTC"
    locale: str = ""
    """Empty: what templates have as their `default`."""
    channels: Mapping[Channel, bool] = field(default_factory=dict)
    """Channel to enabled; a channel not named is on."""
    categories: Mapping[str, Mapping[Channel, bool]] = field(default_factory=dict)
    """Category to channel to enabled; wins over `channels`."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything a decision needs besides state and `now`."""

    types: Mapping[str, NotificationType]
    defaults: Defaults = Defaults()
    per_user: Mapping[Channel, RateLimit] = field(default_factory=dict)
    dedup_window_seconds: int = 86_400
    legal_windows: LegalWindows = field(default_factory=LegalWindows)
    """For categories with `legal_windows`: when the law lets their messages go out."""
