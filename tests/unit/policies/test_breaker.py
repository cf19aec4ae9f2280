"""When a provider stops being called, and how it comes back."""

from policies.breaker import Allowed, Breaker, BreakerSettings, Refused


def cause(breaker: Breaker) -> str:
    return breaker.opened_by


def call(
    breaker: Breaker, now_ms: int, times: int = 1, *, errors: int = 0, latency_ms: float = 50
) -> int:
    """So many calls end, one each 10 ms; returns when."""
    for number in range(times):
        breaker.record(now_ms, is_error=number < errors, latency_ms=latency_ms)
        now_ms += 10
    return now_ms


def opened(breaker: Breaker) -> int:
    now_ms = call(breaker, 0, 30, errors=30)
    assert cause(breaker) == "errors"
    return now_ms


def test_breaker_opens_when_half_of_the_calls_fail() -> None:
    breaker = Breaker()

    now_ms = call(breaker, 0, 40, errors=19)
    now_ms = call(breaker, now_ms, 1, errors=1)
    assert cause(breaker) == ""  # 20 of 41

    call(breaker, now_ms, 1, errors=1)

    assert cause(breaker) == "errors"  # 21 of 42


def test_breaker_says_nothing_after_a_few_calls() -> None:
    breaker = Breaker()

    call(breaker, 0, 19, errors=19)

    assert breaker.ask(190) == Allowed()


def test_breaker_forgets_failures_that_are_older_than_its_window() -> None:
    breaker = Breaker()
    call(breaker, 0, 19, errors=19)

    call(breaker, 21_000, 19, errors=9)

    assert cause(breaker) == ""


def test_breaker_opens_when_latency_trebles() -> None:
    breaker = Breaker()
    now_ms = 0
    for _ in range(30):
        now_ms = call(breaker, now_ms, 100, latency_ms=100)

    for _ in range(25):
        now_ms = call(breaker, now_ms, 100, latency_ms=290)
    assert cause(breaker) == ""
    for _ in range(25):
        now_ms = call(breaker, now_ms, 100, latency_ms=400)

    assert cause(breaker) == "latency"


def test_breaker_takes_three_times_very_little_for_little() -> None:
    breaker = Breaker()
    now_ms = 0
    for _ in range(30):
        now_ms = call(breaker, now_ms, 100, latency_ms=5)

    for _ in range(25):
        now_ms = call(breaker, now_ms, 100, latency_ms=100)

    assert cause(breaker) == ""


def test_breaker_probes_with_one_call_every_five_seconds() -> None:
    breaker = Breaker()
    opened_at = opened(breaker) - 20  # the call that opened it was not the last one

    assert isinstance(breaker.ask(opened_at), Refused)
    probed_at = opened_at + 5_000
    assert breaker.ask(probed_at) == Allowed(is_probe=True)
    assert breaker.ask(probed_at) == Refused(5_000)
    assert breaker.ask(probed_at + 4_999) == Refused(1)
    assert breaker.ask(probed_at + 5_000) == Allowed(is_probe=True)


def test_breaker_closes_after_a_probe_that_is_answered_well() -> None:
    breaker = Breaker()
    now_ms = opened(breaker) + 5_000

    breaker.record(now_ms, is_error=True, latency_ms=50, is_probe=True)
    assert cause(breaker) == "errors"
    breaker.record(now_ms, is_error=False, latency_ms=50, is_probe=True)

    assert breaker.ask(now_ms) == Allowed()


def test_breaker_stays_open_after_a_probe_that_is_slow() -> None:
    breaker = Breaker(BreakerSettings(min_calls=5))
    now_ms = 0
    for latency_ms in (100, 100, 900, 900):
        for _ in range(20):
            now_ms = call(breaker, now_ms, 100, latency_ms=latency_ms)
    assert cause(breaker) == "latency"

    breaker.record(now_ms, is_error=False, latency_ms=900, is_probe=True)
    assert cause(breaker) == "latency"
    breaker.record(now_ms, is_error=False, latency_ms=120, is_probe=True)

    assert cause(breaker) == ""


def test_breaker_gets_used_to_a_provider_that_stays_slower() -> None:
    breaker = Breaker()
    now_ms = 0
    for latency_ms in (100, 100, 500, 500):
        for _ in range(20):
            now_ms = call(breaker, now_ms, 100, latency_ms=latency_ms)
    assert cause(breaker) == "latency"

    probes = 0
    while cause(breaker):
        breaker.record(now_ms, is_error=False, latency_ms=500, is_probe=True)
        probes += 1

    assert 1 < probes < 10


def test_breaker_learns_nothing_from_calls_begun_before_it_opened() -> None:
    breaker = Breaker()
    now_ms = opened(breaker)

    call(breaker, now_ms, 50)

    assert cause(breaker) == "errors"
