"""`RecipientChange`: what became known about a recipient, who said it and when.

In a change a member that is absent says nothing; one that is null takes back what was said.
`model_fields_set` tells the two apart.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from schemas.addresses import Email, Locale, Phone, QuietHours, Timezone
from schemas.delivery import Channel
from schemas.fields import Contract, Instant, Label, Name, UserId
from schemas.instants import to_ms
from schemas.profile import Source

Platform = Literal["ios", "android", "web"]
Token = Annotated[str, Field(pattern=r"^[!-~]{1,4096}$")]


class Change(Contract):
    """What all changes say."""

    user_id: UserId
    tenant: Name | None = None
    source: Source
    """A person's own choice (`user`) yields only to a newer choice of that person."""
    occurred_at: Instant

    @property
    def occurred_ms(self) -> int:
        return to_ms(self.occurred_at)


class ChannelWish(Contract):
    """What is wanted of one channel."""

    enabled: bool | None = None
    quiet_hours: QuietHours | None = None
    """In the recipient's own time zone."""
    daily_limit: Annotated[int, Field(ge=0, le=1000)] | None = None


class Preferences(Contract):
    """By channel and by type; `types` wins where a channel is on."""

    push: ChannelWish | None = None
    email: ChannelWish | None = None
    sms: ChannelWish | None = None
    in_app: ChannelWish | None = None
    types: Annotated[dict[Name, bool], Field(max_length=200)] = Field(default_factory=dict)

    def by_channel(self) -> list[tuple[Channel, ChannelWish]]:
        """Channels that something is said of."""
        wishes: list[tuple[Channel, ChannelWish | None]] = [
            ("push", self.push), ("email", self.email), ("sms", self.sms), ("in_app", self.in_app)
        ]  # fmt: skip
        return [(channel, wish) for channel, wish in wishes if wish is not None]


class RecipientUpdated(Change):
    """Addresses, name, locale or zone."""

    change: Literal["recipient_updated"]
    email: Email | None = None
    phone: Phone | None = None
    name: Label | None = None
    locale: Locale | None = None
    timezone: Timezone | None = None


class RecipientDeleted(Change):
    """Forget the recipient; suppressions of their addresses stay, since they belong to those."""

    change: Literal["recipient_deleted"]


class PreferencesUpdated(Change):
    """Says only what it names; the rest stays."""

    change: Literal["preferences_updated"]
    preferences: Preferences


class DeviceRegistered(Change):
    """A device's push token; whoever registered a token last holds it."""

    change: Literal["device_registered"]
    device_id: Name
    token: Token
    platform: Platform


class DeviceRemoved(Change):
    change: Literal["device_removed"]
    device_id: Name


class AudienceJoined(Change):
    change: Literal["audience_joined"]
    audience: Name


class AudienceLeft(Change):
    change: Literal["audience_left"]
    audience: Name


class AddressSuppressed(Change):
    """Bar the recipient's present address of one channel."""

    change: Literal["address_suppressed"]
    channel: Channel
    reason: Name
    until: Instant | None = None
    """Until released when absent."""


class AddressReleased(Change):
    """Lift the bar."""

    change: Literal["address_released"]
    channel: Channel


RecipientChange = Annotated[
    RecipientUpdated
    | RecipientDeleted
    | PreferencesUpdated
    | DeviceRegistered
    | DeviceRemoved
    | AudienceJoined
    | AudienceLeft
    | AddressSuppressed
    | AddressReleased,
    Field(discriminator="change"),
]
RECIPIENT_CHANGE: TypeAdapter[RecipientChange] = TypeAdapter(RecipientChange)
