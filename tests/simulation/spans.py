"""How long things take in a world: what operators set, and what a coordinator grants."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spans:
    """In seconds; as in an installation that is quick to notice what is gone."""

    session: float = 6.0
    """A member that is silent for so long loses its partitions."""
    lease_margin: float = 1.0
    heartbeat: float = 1.0
    rebalance: float = 30.0
    transaction: float = 10.0
    restart: float = 1.0
    """From the end of a process to the start of its next life."""
    tail_age: float = 5.0
    """A tail that was not at its end for so long holds calls back."""
    tail_ask: float = 0.5
    call: float = 10.0
    """The timeout of a provider call."""


USUAL = Spans()
BRISK = Spans(
    session=3.0,
    lease_margin=0.75,
    heartbeat=0.75,
    rebalance=9.0,
    transaction=4.0,
    restart=0.2,
    tail_age=2.5,
    tail_ask=1.0,
    call=2.5,
)
"""In the same order, and nothing else counts: a world that is over sooner costs less."""
