"""What a peer is: a name, how it is installed, and what it does not do."""

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    name: str
    title: str
    """In the table."""
    lacks: str
    """What Postrider does of the same work and it does not; empty for Postrider itself, and for one
    that lacks what another row of the table lacks."""
    opened: Callable[[Path, int], AbstractAsyncContextManager[Site]]
    """In an empty folder, filled with so many people; its worker is neither started nor ended."""
    missing: Callable[[], str] = lambda: ""
    """What it needs and is not there, with how to get it; empty when it can run."""
    most_repeats: int = sys.maxsize
    """Metered runs; none of one that differs from another in nothing but what a kill does to it."""
    most_rounds: int = sys.maxsize
    """Broadcasts with kills: fewer where each takes minutes, none of one that is there for its rate."""
    most_people: int = sys.maxsize
    """A slow one is measured with fewer: its rate is as steady."""
    is_warmed_up: bool = False
    """Whether one broadcast before the one that counts is needed: a JIT compiles while it runs."""
