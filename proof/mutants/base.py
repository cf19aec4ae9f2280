"""`Mutant`: what is planted, and who must complain; `Scene`: what must happen for it to show."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from proof.faults.base import Fault
from streams.topology import ROLES

DECIDE = ("decide",)
SENDERS = ("push", "email", "sms")
CHANNELS = (*SENDERS, "in_app")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A short round: clean without a mutant."""

    name: str
    fault: Fault
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of the fault's plan."""
    slots: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """In place of the installation's own, besides the fault's."""
    rest_seconds: float = 60.0
    lag_ms: int | None = None
    """Instead of the fault's."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    name: str
    does: str
    scene: Scene
    caught_by: Collection[str]
    """Invariants: one of these must complain."""
    says: str = ""
    """In these words, which a worker that merely broke down would not have caused; without any, no
    worker may have ended by itself."""
    plant: Callable[[], None]
    """Called in the process of a worker before it begins."""
    roles: Collection[str] = ROLES


_replaced: list[tuple[Any, str, object]] = []
"""What was there before, in the order it was replaced."""


def replace(owner: Any, name: str, new: object) -> None:
    """What is patched must be there: a mutant of code that has moved would be none."""
    if name not in vars(owner):
        raise AttributeError(f"{owner.__name__} has no {name} any more: its mutant needs mending")
    _replaced.append((owner, name, vars(owner)[name]))
    setattr(owner, name, new)


@contextmanager
def planted(plant: Callable[[], None]) -> Iterator[None]:
    """For a while, where other things run in the same process afterwards."""
    plant()
    try:
        yield
    finally:
        while _replaced:
            setattr(*_replaced.pop())
