"""`Fact`: one step of a delivery's story, whoever's delivery it is."""

from policies.receipt_merge import state_rank
from schemas import ids
from schemas.receipt import FINAL_STATUSES, Status


class Fact:
    """What is told alike of many deliveries; make it once for all of them."""

    __slots__ = (
        "attempt", "id_part", "is_final", "provider", "provider_code", "rank", "reason", "round",
        "status",
    )  # fmt: skip

    def __init__(
        self,
        status: Status,
        reason: str = "",
        *,
        round_number: int = 0,
        attempt: int = 0,
        provider: str = "",
        provider_code: str = "",
    ) -> None:
        self.status = status
        self.reason = reason
        self.round = round_number
        self.attempt = attempt
        self.provider = provider
        self.provider_code = provider_code
        self.is_final = status in FINAL_STATUSES
        self.rank = state_rank(status)
        self.id_part = ids.receipt_fact(
            status, round_number=round_number, attempt=attempt, reason=reason
        )
