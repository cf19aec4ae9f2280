"""Which channel goes on with a notification that failed for good on another one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from policies.verdicts import Defer, Deliver, Settle, Verdict
from schemas.delivery import Channel


@dataclass(frozen=True, slots=True)
class GoOn:
    """The first channel that is not refused."""

    channel: Channel
    verdict: Deliver | Defer
    remaining: tuple[Channel, ...]
    """To be tried, in order, should this one fail too."""
    refused: tuple[tuple[Channel, Settle], ...]
    """Channels before it; each is settled with its reason."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """No channel is left."""

    refused: tuple[tuple[Channel, Settle], ...]


def go_on(channels: Sequence[Channel], admit: Callable[[Channel], Verdict]) -> GoOn | Exhausted:
    """Ask `admit` of each channel in order, up to the first that it does not settle."""
    refused: list[tuple[Channel, Settle]] = []
    for place, channel in enumerate(channels):
        verdict = admit(channel)
        if not isinstance(verdict, Settle):
            return GoOn(channel, verdict, tuple(channels[place + 1 :]), tuple(refused))
        refused.append((channel, verdict))
    return Exhausted(tuple(refused))
