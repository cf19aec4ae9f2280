"""What a provider answered over HTTP, and what it means where the provider says nothing more precise."""

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from schemas.outcome import Misconfigured, NotProcessed, Outcome, Rejected, Unknown

MAX_RETRY_AFTER_SECONDS = 3600.0
"""A provider that asks for more is not believed: it is asked again after an hour."""


class Reply(NamedTuple):
    """Complete; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def retry_after_seconds(self, now_ms: int) -> float | None:
        """What `Retry-After` asks for, as seconds or as a date; None when it says nothing usable."""
        value = self.headers.get("retry-after", "")
        try:
            seconds = float(value)
        except ValueError:
            try:
                at = parsedate_to_datetime(value)
            except ValueError:
                return None
            seconds = at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now_ms / 1000
        return bounded_wait(seconds)

    def outcome(self, *, code: str = "", wait_seconds: float = 0.0) -> Outcome:
        """What a status that is no success means where the provider says nothing more precise."""
        code = code or str(self.status)
        match self.status:
            case 401 | 403:
                return Misconfigured(provider_code=code)
            case 404 | 405:
                return Misconfigured(reason="bad_endpoint", provider_code=code)
            case 429:
                return NotProcessed(retry_after_seconds=wait_seconds, provider_code=code)
            case status if 300 <= status < 400:
                return Misconfigured(reason="bad_endpoint", provider_code=code)
            case status if 400 <= status < 500:
                return Rejected(provider_code=code)
            case _:
                return Unknown(reason="server_error", provider_code=code)


def bounded_wait(seconds: float) -> float | None:
    """A wait that a provider asks for, or None where the number makes no sense."""
    return None if math.isnan(seconds) else min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
