"""What is said to a list of stops, and what it answers about one delivery."""

from policies.rules import Category, NotificationType, Rules
from policies.stop_facts import SKEW_MS
from policies.stops import GO, Stop, StopList, StopVerdict
from schemas.delivery import Body, Channel, Target
from schemas.profile import Source

NOW = 1_767_225_600_000
RELEASED = NOW - 60_000
BEFORE = RELEASED - SKEW_MS
"""Came before the decision, so surely that even clocks that differ agree."""
SINCE = RELEASED + 1_000
HASH, OTHER = b"h" * 16, b"o" * 16
NOTIFICATION, BROADCAST = b"n" * 16, b"b" * 16

RULES = Rules(
    types={
        "promotion": NotificationType("promotion", Category("marketing"), ("push", "email", "sms")),
        "code": NotificationType("code", Category("security", mandatory=True), ("sms",)),
    }
)
OPTED_OUT = Stop("suppressed", "opted_out_channel")
OPTED_OUT_TYPE = Stop("suppressed", "opted_out_type")
SUPPRESSED = Stop("suppressed", "suppressed_address")
GONE = Stop("suppressed", "address_gone")


def check(
    stops: StopList, channel: Channel = "email", *, type_name: str = "promotion", user: str = "ada",
    address_hash: bytes = HASH, released_ms: int = RELEASED, now_ms: int = NOW,
    ttl_ms: int = 3_600_000, provider: str = "ses", quiet: str = "",
    accepted_ms: int = RELEASED,
) -> StopVerdict:  # fmt: skip
    """Alone, and in the middle of a crowd that nothing was said of."""
    body = Body(
        type_name,
        "c",
        {},
        NOW + ttl_ms,
        tenant="acme",
        broadcast_id=BROADCAST,
        accepted_ms=accepted_ms,
    )
    target = Target(
        user, NOTIFICATION, b"d" * 16, "address", address_hash, device_id="phone", quiet=quiet
    )
    verdict = stops.check(
        target, body, channel, released_ms=released_ms, now_ms=now_ms, provider=provider
    )
    crowd = [Target(f"somebody-{n}", bytes([n]) * 16, b"e" * 16, "elsewhere") for n in range(20)]
    stopped = stops.check_many(
        [*crowd, target, *crowd], [body], channel,
        released_ms=released_ms, now_ms=now_ms, provider=provider,
    )  # fmt: skip
    assert stopped.get(len(crowd), GO) == verdict
    assert list(stopped) == sorted(stopped)
    return verdict


def choice(
    stops: StopList, enabled: bool | None, *, channel: str = "email", type_name: str = "",
    source: Source = "user", said: int = BEFORE, came: int = SINCE, user: str = "ada",
) -> None:  # fmt: skip
    stops.note_choice(
        user, enabled, channel=channel, type_name=type_name, source=source, occurred_ms=said,
        appended_ms=came,
    )  # fmt: skip
