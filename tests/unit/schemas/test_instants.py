from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.instants import rfc3339, to_ms


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9998, 1, 1)))  # noqa: DTZ001 hypothesis wants naive bounds
def test_milliseconds_survive_the_text(naive: datetime) -> None:
    instant_ms = to_ms(naive.replace(tzinfo=UTC))

    assert to_ms(datetime.fromisoformat(rfc3339(instant_ms))) == instant_ms


def test_an_offset_names_the_same_instant() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)

    assert to_ms(noon) == to_ms(noon.astimezone(timezone(timedelta(hours=5, minutes=45))))
    assert rfc3339(to_ms(noon)) == "2026-01-01T12:00:00.000Z"


def test_a_foreign_clock_cannot_make_an_instant_untellable() -> None:
    assert rfc3339(-1) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(2**63) == "9999-12-31T23:59:59.000Z"
