"""The shape of `faust.yaml`: every key there is, its range and its default."""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, FilePath, create_model, model_validator

from channels.catalogue import SETTINGS
from channels.settings import ProviderSettings
from policies.rules import RateLimit
from schemas.addresses import Locale, QuietHours, Timezone
from schemas.delivery import Channel, Lane
from schemas.fields import Name as Tenant
from streams.config_values import Duration, Rate, Secret, Size, at_least, between

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
"""Of a type it is the name of its templates' folder too."""
Topic = Annotated[str, Field(pattern=r"^[a-zA-Z0-9.-]{1,200}$")]
SenderNumber = Annotated[
    str, Field(pattern=r"^(\+[1-9][0-9]{6,14}|[A-Za-z0-9 ]{3,11}|MG[0-9a-f]{32})$")
]
"""E.164, a short code or alphanumeric sender, or a messaging service."""
Count = Annotated[int, Field(ge=1)]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SecurityShape(Shape):
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ca_bundle: FilePath | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None
    key_password: Secret | None = None
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password: Secret | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.protocol.startswith("SASL") and (self.username is None or self.password is None):
            raise ValueError(f"{self.protocol} needs username and password")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key come together")
        return self

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        """Whoever names a bundle and forgets the protocol would talk in the clear, unknowing."""
        unused: list[str] = []
        if not self.protocol.startswith("SASL"):
            unused += ["username", "password"]
        if not self.protocol.endswith("SSL"):
            unused += ["ca_bundle", "certificate", "key", "key_password"]
        given = [name for name in unused if name in self.model_fields_set]
        if given:
            raise ValueError(f"protocol {self.protocol} has no use for {', '.join(given)}")
        return self


class KafkaShape(Shape):
    bootstrap: str = "embedded"
    security: SecurityShape = SecurityShape()
    replication: Annotated[int, Field(ge=1, le=9)] | None = None
    min_insync_replicas: Annotated[int, Field(ge=1, le=9)] | None = None
    topic_prefix: Annotated[str, Field(pattern=r"^[a-zA-Z0-9.-]{0,40}$")] = ""
    session_timeout: Duration = 20.0
    heartbeat_interval: Duration = 2.0
    rebalance_timeout: Duration = 60.0

    @model_validator(mode="after")
    def _times_agree(self) -> Self:
        if self.session_timeout < 3 * self.heartbeat_interval:
            raise ValueError("session_timeout must be at least three times heartbeat_interval")
        return self


class IngressShape(Shape):
    topic: Topic
    lane: Lane
    tenants: Annotated[tuple[Tenant, ...], Field(min_length=1)] | None = None


class CategoryShape(Shape):
    mandatory: bool = False
    in_doubt: Literal["resend", "hold"] = "hold"
    lane: Lane = "normal"
    quiet_hours: bool = False
    legal_windows: bool = False
    daily_limit: dict[Channel, Count] = {}
    over_limit: Literal["suppress", "defer"] = "suppress"


class TypeShape(Shape):
    category: str
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    fallback: tuple[Channel, ...] = ()
    ttl: Duration = 86_400.0
    sensitive: frozenset[str] = frozenset()


class DefaultsShape(BaseModel):
    """Any other key is the name of a category."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, dict[Channel, bool]] = Field(init=False)
    timezone: Timezone = "UTC"
    locale: Locale = ""
    channels: dict[Channel, bool] = {}


class LimitsShape(Shape):
    per_user: dict[Channel, Rate] = {}


class LegalWindowsShape(Shape):
    channels: frozenset[Channel] = frozenset({"sms"})
    default: QuietHours = "08:00-21:00"
    by_zone: dict[Timezone, QuietHours] = {}


class SmsSenderShape(Shape):
    number: SenderNumber
    rate: Rate


class ChannelShape(Shape):
    providers: Annotated[tuple[str, ...], Field(min_length=1)]


class SmsShape(ChannelShape):
    senders: Annotated[dict[Name, SmsSenderShape], Field(min_length=1)]


class ChannelsShape(Shape):
    push: ChannelShape | None = None
    email: ChannelShape | None = None
    sms: SmsShape | None = None


class BreakerShape(Shape):
    error_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    slow_factor: Annotated[float, Field(gt=1)] = 3.0
    window: Duration = 20.0
    probe: Duration = 5.0
    min_calls: Count = 20
    slow_floor: Duration = 0.2


class WorkersShape(Shape):
    memory: Annotated[Size, at_least("192MiB")] = 256 * 1024 * 1024
    open_calls: Count = 512
    in_doubt: Count = 4000
    metrics_port: Annotated[int, Field(ge=0, le=65_000)] = 9100


def _provider_shape(name: str, settings: type[ProviderSettings]) -> type[Shape]:
    """A provider's settings class, as it is written in the file."""
    hints = get_type_hints(settings)
    members: dict[str, Any] = {}
    for each in fields(settings):
        kind: Any = Secret if each.metadata.get("secret") else hints[each.name]
        kind = {RateLimit | None: Rate | None, Path | None: FilePath | None}.get(kind, kind)
        members[each.name] = (kind, ... if each.default is MISSING else each.default)
    return create_model(f"{name}_shape", __base__=Shape, **members)


ProvidersShape: type[Shape] = create_model(
    "ProvidersShape",
    __base__=Shape,
    **{name: (_provider_shape(name, settings) | None, None) for name, settings in SETTINGS.items()},  # type: ignore[call-overload]  # its names are data
)


class FileShape(Shape):
    kafka: KafkaShape = KafkaShape()
    partitions: Annotated[int, Field(ge=1, le=4096)] | None = None
    ingress: Annotated[tuple[IngressShape, ...], Field(min_length=1)]
    categories: Annotated[dict[Name, CategoryShape], Field(min_length=1)]
    types: Annotated[dict[Name, TypeShape], Field(min_length=1)]
    defaults: DefaultsShape = DefaultsShape()
    limits: LimitsShape = LimitsShape()
    dedup_window: Annotated[Duration, between("1m", "7d")] = 86_400.0
    legal_windows: LegalWindowsShape = LegalWindowsShape()
    channels: ChannelsShape
    providers: ProvidersShape  # type: ignore[valid-type]  # made from the catalogue
    breaker: BreakerShape = BreakerShape()
    address_key: Secret
    workers: WorkersShape = WorkersShape()
    templates: str = "templates"
    data: str = ".postrider"
    sandbox: bool = False
