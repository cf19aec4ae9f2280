"""What a provider said at once about one delivery: a closed set, matched exhaustively.

`sent` means accepted by the provider, never delivered to the person; what a provider
says later is a report (`schemas/report.py`).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec


class _Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Fields common to all outcomes. `provider_code` is the vendor's code, never its free text."""

    provider_code: str = ""
    provider: str = ""
    """Who said so, where it was not the channel's first provider."""


class Accepted(_Outcome, frozen=True):
    """The provider took responsibility for the message."""

    provider_message_id: str = ""


class AddressInvalid(_Outcome, frozen=True):
    """The address will never work again: remove the device token, suppress the mailbox or number."""


class Rejected(_Outcome, frozen=True):
    """Permanent for this message; the address may be fine. Never retried."""

    reason: str = "rejected_by_provider"


class NotProcessed(_Outcome, frozen=True):
    """Certainly not sent, so it is safe to call again.

    `consumes_attempt` is False when the cause is load or our own state (429, drain, breaker
    open, no more connections to be had): then the delivery's expiry is the only bound. A refused
    connection or a 5xx documented as not processed takes the retry ladder.
    """

    retry_after_seconds: float = 0.0
    consumes_attempt: bool = False
    reason: Literal[
        "throttled", "draining", "spoilt", "breaker_open", "unreachable", "server_error"
    ] = "throttled"


class Unknown(_Outcome, frozen=True):
    """May have been sent: a timeout or reset after the request left, or an undocumented 5xx."""

    reason: Literal["timeout", "connection_lost", "server_error", "cut_off"] = "timeout"


class Misconfigured(_Outcome, frozen=True):
    """Bad credentials or account: stop this sender, alert, keep the deliveries."""

    reason: str = "bad_credentials"


Outcome = Accepted | AddressInvalid | Rejected | NotProcessed | Unknown | Misconfigured


def alike(outcomes: Sequence[Outcome]) -> list[tuple[Outcome, int]]:
    """Those that differ, each with how many there are of it: the recipients of one request mostly
    have the very same."""
    if outcomes and outcomes.count(outcomes[0]) == len(outcomes):
        return [(outcomes[0], len(outcomes))]
    by_id = {id(each): each for each in outcomes}
    return [(by_id[each], count) for each, count in Counter(map(id, outcomes)).items()]
