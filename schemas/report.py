"""`ProviderReport`: what a provider says later about a message, or about an address."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.delivery import Channel
from schemas.fields import Contract, Id, Instant, Label, Metadata, Name, UserId

ReportStatus = Literal[
    "delivered", "failed", "bounced",
    "opened", "clicked", "read", "unsubscribed", "complained",
    "opted_out", "opted_in",
]  # fmt: skip


class DeliveryReference(Contract):
    """Which delivery is meant: what we gave the provider to echo, verified by whoever wrote this."""

    notification_id: Id
    delivery_id: Id
    broadcast_id: Id | None = None
    user_id: UserId
    type: Name
    category: Name
    tenant: Name | None = None
    device_id: Name | None = None
    round: int = Field(default=0, ge=0)
    attempt: int = Field(default=1, ge=1)
    metadata: Metadata = Field(default_factory=dict)


class ProviderReport(Contract):
    """One thing that a provider reported, its signature already checked.

    A report names a delivery, or an address, or both: a STOP by SMS knows only the number.
    """

    provider: Name
    channel: Channel
    status: ReportStatus
    occurred_at: Instant
    event_id: Label
    """The provider's own id of this event: the same event told twice counts once."""
    delivery: DeliveryReference | None = None
    address: Label | None = None
    is_permanent: bool = False
    """Of a bounce or failure: the address will never work."""
    provider_code: Label | None = None
    provider_message_id: Label | None = None

    @model_validator(mode="after")
    def _about_something(self) -> Self:
        if self.delivery is None and self.address is None:
            raise PydanticCustomError("about_nothing", "A delivery or an address should be given")
        return self
