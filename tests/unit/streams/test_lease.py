"""R5: whoever was suspended, or is not heard by the coordinator, may not call a provider."""

import asyncio
import threading

from streams.lease import HeartbeatLease


class GivenSeconds:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def lease(now_seconds: GivenSeconds) -> HeartbeatLease:
    return HeartbeatLease(session_seconds=10, margin_seconds=2, now_seconds=now_seconds)


def test_nobody_holds_a_lease_before_the_first_heartbeat() -> None:
    assert not lease(GivenSeconds()).is_good()


def test_a_lease_counts_from_when_the_heartbeat_was_sent_and_not_answered() -> None:
    now_seconds = GivenSeconds()
    held = lease(now_seconds)
    sent_at = now_seconds.at

    now_seconds.at += 7.9  # the answer took so long
    held.renew(sent_at)
    assert held.is_good()

    now_seconds.at += 0.1
    assert not held.is_good()


def test_an_answer_that_arrives_late_never_shortens_a_lease() -> None:
    now_seconds = GivenSeconds()
    held = lease(now_seconds)
    held.renew(now_seconds.at)
    held.renew(now_seconds.at - 9)

    assert held.is_good()


async def test_a_heartbeat_in_the_consumers_thread_wakes_who_waits_on_the_loop() -> None:
    now_seconds = GivenSeconds()
    held = lease(now_seconds)
    held.bind(asyncio.get_running_loop())
    waiting = asyncio.create_task(held.wait_until_good())
    await asyncio.sleep(0)

    stale = threading.Thread(target=held.renew, args=(now_seconds.at - 8,))
    stale.start()
    stale.join()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done(), "it was sent too long ago"

    good = threading.Thread(target=held.renew, args=(now_seconds.at,))
    good.start()
    good.join()
    await asyncio.wait_for(waiting, 5)


async def test_who_waits_for_a_renewal_is_not_content_with_an_earlier_heartbeat() -> None:
    now_seconds = GivenSeconds()
    held = lease(now_seconds)
    held.bind(asyncio.get_running_loop())
    held.renew(now_seconds.at)
    now_seconds.at += 1
    assert held.is_good()
    waiting = asyncio.create_task(held.wait_until_renewed())
    await asyncio.sleep(0)

    held.renew(now_seconds.at - 0.5)  # sent before it was asked for, answered after
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()

    held.renew(now_seconds.at)
    await asyncio.wait_for(waiting, 5)


async def test_a_heartbeat_after_the_loop_has_ended_is_no_error() -> None:
    held = lease(GivenSeconds())
    ended = asyncio.new_event_loop()
    ended.close()
    held.bind(ended)

    held.renew(1000.0)

    assert held.is_good()
