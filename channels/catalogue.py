"""Every provider there is. Adding one touches its own file, its test and one line here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from channels.base import Sender
from channels.circuit import Circuit
from channels.email.sendgrid import SendGrid, SendGridSettings
from channels.failover import Failover
from channels.push.fcm import Fcm, FcmSettings
from channels.settings import ProviderSettings
from channels.sms.twilio import Twilio, TwilioSettings
from policies.breaker import Breaker, BreakerSettings
from policies.clock import Clock
from schemas.delivery import Channel

SettingsT = TypeVar("SettingsT", bound=ProviderSettings, contravariant=True)


class _SenderOf(Protocol[SettingsT]):
    def __call__(self, settings: SettingsT, *, clock: Clock) -> Sender: ...


@dataclass(frozen=True, slots=True)
class Provider:
    """What is known of a provider before it is configured."""

    channel: Channel
    settings: type[ProviderSettings]
    max_batch: int
    """Messages in one of its requests, at most."""
    make: Callable[[ProviderSettings, Clock], Sender]
    """Raises TypeError for another provider's settings, ValueError for credentials that are none."""


def _provider(
    channel: Channel, settings: type[SettingsT], sender: _SenderOf[SettingsT], max_batch: int
) -> Provider:
    def make(given: ProviderSettings, clock: Clock) -> Sender:
        if not isinstance(given, settings):
            raise TypeError(f"expected {settings.__name__}, got {type(given).__name__}")
        return sender(given, clock=clock)

    return Provider(channel, settings, max_batch, make)


PROVIDERS: Mapping[str, Provider] = {
    "sendgrid": _provider("email", SendGridSettings, SendGrid, SendGrid.max_batch),
    "twilio": _provider("sms", TwilioSettings, Twilio, Twilio.max_batch),
    "fcm": _provider("push", FcmSettings, Fcm, Fcm.max_batch),
}

SETTINGS: Mapping[str, type[ProviderSettings]] = {
    name: provider.settings for name, provider in PROVIDERS.items()
}
"""What the `providers` section of `faust.yaml` may hold, by name."""


def channel_sender(
    providers: Sequence[tuple[str, ProviderSettings]], *, breaker: BreakerSettings, clock: Clock
) -> Sender:
    """The sender of a channel: its providers in order of preference, each behind a breaker.

    Raises:
        ValueError: no provider, providers of different channels, or unusable credentials.
    """
    return Failover(
        [
            Circuit(PROVIDERS[name].make(settings, clock), breaker=Breaker(breaker), clock=clock)
            for name, settings in providers
        ]
    )
