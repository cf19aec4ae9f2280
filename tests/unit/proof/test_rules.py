"""The rules as the checker reads them are those that workers go by."""

from pathlib import Path

from proof.checker.rules import read_rules
from streams.config import load

FILE = Path("faust.yaml")


def test_the_checker_reads_what_workers_go_by() -> None:
    environment = {"SMS_RATE": "7/s"}

    ours = read_rules(FILE, environment)
    config = load(FILE, environment=environment)

    theirs = config.rules
    assert ours.kinds.keys() == theirs.types.keys()
    for name, kind in ours.kinds.items():
        other = theirs.types[name]
        assert (kind.channels, kind.fallback) == (other.channels, other.fallback)
        assert kind.ttl_ms == other.ttl_seconds * 1000
        for field in (
            "name",
            "mandatory",
            "in_doubt",
            "quiet_hours",
            "legal_windows",
            "over_limit",
        ):
            assert getattr(kind.category, field) == getattr(other.category, field)
        assert dict(kind.category.daily_limit) == dict(other.category.daily_limit)
    assert ours.dedup_ms == theirs.dedup_window_seconds * 1000
    assert ours.per_user == {
        channel: (rate.count, round(rate.window_seconds * 1000))
        for channel, rate in theirs.per_user.items()
    }
    assert not ours.is_on_by_default("marketing", "sms")
    assert ours.rates["twilio"] == (7, 1000)
    assert ours.rates["sendgrid"] == (600, 1000)
