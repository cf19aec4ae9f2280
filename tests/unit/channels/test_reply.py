"""What a provider's answer means by its status and headers alone."""

import pytest

from channels.transport import Reply
from schemas.outcome import Misconfigured, NotProcessed, Outcome, Rejected, Unknown


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0.0),  # already over
        ("-3", 0.0),
        ("1e999", 3600.0),
        ("nan", None),
        ("soon", None),
        ("Fri, 31 Dec 2026 23:59:59 +99999999999999999999", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    reply = Reply(429, {"retry-after": value}, b"")

    assert reply.retry_after_seconds(now_ms=1_767_225_600_000) == seconds


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (401, Misconfigured(provider_code="401")),
        (403, Misconfigured(provider_code="403")),
        (404, Misconfigured(reason="bad_endpoint", provider_code="404")),
        (405, Misconfigured(reason="bad_endpoint", provider_code="405")),
        (413, Rejected(provider_code="413")),
        (429, NotProcessed(provider_code="429")),
        (500, Unknown(reason="server_error", provider_code="500")),
        (502, Unknown(reason="server_error", provider_code="502")),
        (999, Unknown(reason="server_error", provider_code="999")),
    ],
)
def test_status_alone_has_a_meaning(status: int, outcome: Outcome) -> None:
    assert Reply(status, {}, b"").outcome() == outcome
