"""Which channel goes on with a notification that failed for good on another one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from policies.admission import Ruling
from policies.verdicts import Settle
from schemas.delivery import Channel


@dataclass(frozen=True, slots=True)
class GoOn:
    """The first channel that is not refused."""

    channel: Channel
    ruling: Ruling
    remaining: tuple[Channel, ...]
    """To be tried, in order, should this one fail too."""
    refused: tuple[tuple[Channel, Ruling], ...]
    """Channels before it; each is settled with its reason."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """No channel is left."""

    refused: tuple[tuple[Channel, Ruling], ...]


def go_on(channels: Sequence[Channel], admit: Callable[[Channel], Ruling]) -> GoOn | Exhausted:
    """Ask `admit` of each channel in order, up to the first that it does not settle."""
    refused: list[tuple[Channel, Ruling]] = []
    for place, channel in enumerate(channels):
        ruling = admit(channel)
        if not isinstance(ruling.verdict, Settle):
            return GoOn(channel, ruling, tuple(channels[place + 1 :]), tuple(refused))
        refused.append((channel, ruling))
    return Exhausted(tuple(refused))
