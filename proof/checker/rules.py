"""The rules as plain data, read from `faust.yaml` without the code that decides by them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PROVIDERS = {"fcm": "push", "sendgrid": "email", "twilio": "sms"}

Limit = tuple[int, int]
"""At most so many in any window of so many milliseconds."""


class Category(msgspec.Struct, frozen=True):
    name: str
    mandatory: bool = False
    in_doubt: str = "hold"
    quiet_hours: bool = False
    legal_windows: bool = False
    daily_limit: Mapping[str, int] = {}
    over_limit: str = "suppress"


class Kind(msgspec.Struct, frozen=True):
    """A type of notification."""

    name: str
    category: Category
    channels: tuple[str, ...]
    fallback: tuple[str, ...] = ()
    ttl_ms: int = 86_400_000


class Rules(msgspec.Struct, frozen=True):
    """Everything that the oracle goes by besides what was said."""

    kinds: dict[str, Kind]
    timezone: str = "UTC"
    is_on: dict[str, dict[str, bool]] = {}
    """Category ("" for all others) to channel: what holds for whoever said nothing."""
    per_user: dict[str, Limit] = {}
    dedup_ms: int = 86_400_000
    legal_channels: tuple[str, ...] = ("sms",)
    legal_window: str = "08:00-21:00"
    legal_by_zone: dict[str, str] = {}
    channel_of: dict[str, str] = {}
    """Of each provider."""
    rates: dict[str, Limit] = {}
    """Requests by provider, or by the number that an SMS goes out from."""

    def is_on_by_default(self, category: str, channel: str) -> bool:
        everywhere = self.is_on.get("", {}).get(channel, True)
        return self.is_on.get(category, {}).get(channel, everywhere)


def read_rules(path: Path, environment: Mapping[str, str]) -> Rules:
    """What `faust.yaml` says, its variables replaced."""

    def value_of(found: re.Match[str]) -> str:
        return environment.get(found[1]) or found[2] or ""

    said: dict[str, Any] = msgspec.yaml.decode(_VARIABLE.sub(value_of, path.read_text()))
    categories = {
        name: msgspec.convert({"name": name, **(category or {})}, Category)
        for name, category in said["categories"].items()
    }
    defaults = said.get("defaults", {})
    legal = said.get("legal_windows", {})
    return Rules(
        kinds={
            name: Kind(
                name,
                categories[kind["category"]],
                tuple(kind["channels"]),
                tuple(kind.get("fallback", ())),
                _ms(kind.get("ttl", "24h")),
            )
            for name, kind in said["types"].items()
        },
        timezone=defaults.get("timezone", "UTC"),
        is_on={
            "": defaults.get("channels", {}),
            **{name: defaults[name] for name in categories if name in defaults},
        },
        per_user={
            channel: _limit(rate)
            for channel, rate in said.get("limits", {}).get("per_user", {}).items()
        },
        dedup_ms=_ms(said.get("dedup_window", "24h")),
        legal_channels=tuple(legal.get("channels", ("sms",))),
        legal_window=legal.get("default", "08:00-21:00"),
        legal_by_zone=legal.get("by_zone", {}),
        channel_of=_PROVIDERS,
        rates=_rates(said),
    )


def _rates(said: dict[str, Any]) -> dict[str, Limit]:
    """The sandbox does not say from which number an SMS came: only the sum of all is known."""
    rates = {
        name: _limit(settings["rate"])
        for name, settings in said["providers"].items()
        if settings and "rate" in settings
    }
    numbers = [_limit(each["rate"]) for each in said["channels"]["sms"]["senders"].values()]
    if len({window for _, window in numbers}) == 1:
        rates["twilio"] = (sum(count for count, _ in numbers), numbers[0][1])
    return rates


def _ms(duration: str) -> int:
    found = re.fullmatch(r"(\d+)(ms|s|m|h|d)", duration)
    if found is None:
        raise ValueError(f"expected a duration such as 24h, got {duration!r}")
    return int(found[1]) * _UNITS_MS[found[2]]


def _limit(rate: str) -> Limit:
    count, _, window = rate.partition("/")
    return int(count), _ms(window if window[0].isdigit() else f"1{window}")
