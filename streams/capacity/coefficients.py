"""What one notification and one user cost, as `make bench` measured it.

`measured.json` beside this file is written by `python -m benchmarks.whole` from its results, so that
the plan speaks of the same product as the benchmarks do.
"""

from pathlib import Path

import msgspec

FILE = Path(__file__).with_name("measured.json")


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One way through the pipeline; CPU in microseconds of one core a notification."""

    decide_us: float
    send_us: float
    broker_us: float
    """Of both halves."""
    kafka_bytes: float
    """Written to topics and changelogs, compressed, one copy; the request itself left out."""


class Coefficients(msgspec.Struct, frozen=True, kw_only=True):
    measured: str
    """When, of which commit, on what; scenario by scenario where they differ."""
    single: Work
    """A request of its own, by e-mail, many waiting."""
    broadcast: Work
    """One recipient of a broadcast by e-mail, in batches of the provider's."""
    push_us: float
    """Sending one notification by push, a request each."""
    push_broker_us: float
    trickle_us: float
    """A request of its own, decided and sent, when they come at 200 a second and nothing waits."""
    user_disk_bytes: float
    """Of a user in the local stores of decide, with preferences and half a device."""
    user_changelog_bytes: float
    """Of the same in Kafka, one copy, before compaction."""
    worker_mb: float
    """The most that any worker held, with 8 partitions."""


def measured() -> Coefficients:
    return msgspec.json.decode(FILE.read_bytes(), type=Coefficients)
