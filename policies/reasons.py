"""Every reason that a receipt may give, with one line that explains it to a person.

The documentation's table of reasons is made from this one.
"""

from typing import Literal, get_args

Reason = Literal[
    # rejected: the request asks for what cannot be
    "unknown_type",
    "channel_not_in_type",
    "no_address",
    "tenant_not_allowed",
    "idempotency_conflict",
    "too_large",
    # suppressed: it may not be sent
    "opted_out_channel",
    "opted_out_type",
    "off_by_default",
    "suppressed_address",
    "address_gone",
    "daily_limit",
    "rate_limited",
    # cancelled, expired: it is wanted no more
    "cancelled",
    "ttl",
    "too_old",
    # deferred: not now (also on `expired`, when it would have had to wait too long)
    "quiet_hours",
    "legal_window",
    "scheduled",
    "paused",
    "provider_misconfigured",
    "throttled",
    "draining",
    "spoilt",
    "breaker_open",
    "unreachable",
    # failed, in_doubt: tried, and how it ended
    "attempts_exhausted",
    "address_invalid",
    "rejected_by_provider",
    "template_error",
    "stage_error",
    "timeout",
    "connection_lost",
    "server_error",
    "cut_off",
    "outcome_lost",
]

EXPLANATIONS: dict[Reason, str] = {
    "unknown_type": "The type is not declared in faust.yaml.",
    "channel_not_in_type": "The request names a channel that its type does not have.",
    "no_address": "Nothing is known that this channel could reach the recipient by.",
    "tenant_not_allowed": "The topic takes requests of other tenants only.",
    "idempotency_conflict": "The idempotency key was used for another content within the window.",
    "too_large": "The data is larger than a batch of deliveries can carry.",
    "opted_out_channel": "The recipient does not want this channel.",
    "opted_out_type": "The recipient does not want notifications of this type.",
    "off_by_default": "The channel is off for this category until the recipient turns it on.",
    "suppressed_address": "The address is barred: it bounced, complained, or said STOP.",
    "address_gone": "The address or device stopped being the recipient's after the decision.",
    "daily_limit": "As many as allowed were decided for the recipient on this day of theirs.",
    "rate_limited": "Too many for this recipient and channel in a short time.",
    "cancelled": "The producer called it off.",
    "ttl": "Its time to live ended before it could be sent.",
    "too_old": "It waited longer than stops are remembered, so nobody can tell if it may be sent.",
    "quiet_hours": "It is a time at which the recipient does not want to be disturbed.",
    "legal_window": "It is a time of day at which such messages may not be sent there.",
    "scheduled": "The producer asked for a later time.",
    "paused": "An operator holds back this channel, type, tenant or provider.",
    "provider_misconfigured": "The provider refuses our credentials or account; kept until mended.",
    "throttled": "The provider told us to slow down.",
    "draining": "The worker was about to end, so the call was left to its successor.",
    "spoilt": "The provider refused a request for many because of another one of them.",
    "breaker_open": "The provider fails too often to be called just now.",
    "unreachable": "The provider could not be reached.",
    "attempts_exhausted": "Every attempt failed, and each was certainly not sent.",
    "address_invalid": "The provider says that the address will never work.",
    "rejected_by_provider": "The provider refused this message for good.",
    "template_error": "The template could not be rendered with the data given.",
    "stage_error": "An error of ours; the cause is with the dead letter.",
    "timeout": "The provider did not answer in time; it may have been sent.",
    "connection_lost": "The connection broke after the request had left; it may have been sent.",
    "server_error": "The provider failed; on `in_doubt`, in a way that leaves open whether it was sent.",
    "cut_off": "The worker had to end before the answer came; it may have been sent.",
    "outcome_lost": "The worker died before the answer was recorded; it may have been sent.",
}

REASONS: tuple[Reason, ...] = get_args(Reason)
