"""What every provider's settings have in common; each provider's file adds its own."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policies.rules import RateLimit


def secret() -> Any:
    """A required field that is never printed: `metadata["secret"]` tells a dump to mask it."""
    return field(repr=False, metadata={"secret": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """Raises ValueError, naming the field, for a value that cannot work."""

    base_url: str
    """Scheme, host and, where needed, a path; the sandbox is one value away from the real one."""
    ca_bundle: Path | None = None
    """PEM file of the authorities to trust instead of the machine's."""
    timeout_seconds: float = 10.0
    """For one `send` in all; longer ones make giving up a partition slower."""
    connections: int = 100
    """Kept open at most: the rate times the provider's latency is what is needed."""
    rate: RateLimit | None = None
    """Requests, over all workers of the role; None: as fast as the provider answers."""

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("https://", "http://")):
            raise ValueError(f"base_url: expected an http(s) URL, got {self.base_url!r}")
        if not self.timeout_seconds > 0:
            raise ValueError(f"timeout_seconds: expected more than 0, got {self.timeout_seconds}")
        if self.connections < 1:
            raise ValueError(f"connections: expected 1 or more, got {self.connections}")
