"""L4, stops: what somebody said in time is obeyed, however long the delivery had been queued."""

from collections.abc import Iterator

from proof.checker.cases import Delivery
from proof.checker.evidence import Accept
from proof.checker.hearing import Hearing
from proof.checker.people import ADDRESS_FIELDS, Words, last, possible
from proof.checker.rules import Kind
from proof.checker.verdict import Violation


def stops(hearing: Hearing) -> Iterator[Violation]:
    for delivery in hearing.others:
        kind = hearing.kind_of(delivery)
        if kind is not None:
            for at_ms, accept in hearing.moments(delivery):
                for words in _reasons(hearing, delivery, kind, at_ms, accept):
                    yield Violation("L4", f"reached at {at_ms}: {words}", delivery.ids)


def _reasons(
    hearing: Hearing, delivery: Delivery, kind: Kind, at_ms: int, accept: Accept | None
) -> Iterator[str]:
    person, channel = hearing.people.of(delivery.user_id), delivery.channel
    stop_ms = hearing.circumstances.stop_ms
    request = delivery.request
    assert request is not None
    if not kind.category.mandatory:
        for about in (f"{channel}.enabled", f"types.{kind.name}"):
            if _holds(hearing, person.lasting(about), at_ms, False):
                yield f"had turned off {about}"
    called_off_ms = hearing.oracle.called_off_ms(request.said, request.at_ms)
    if called_off_ms is not None and called_off_ms + stop_ms < at_ms:
        yield f"was called off at {called_off_ms}"
    for control in _controls(delivery, kind, accept):
        if hearing.pauses.over(control, at_ms, stop_ms):
            yield f"{control} was paused"
    # Asked for since, with an address of its own, it may be for whoever comes anew: a sign-up's code.
    is_anew = request.said.recipient is not None and request.at_ms > (person.gone_ms or 0)
    if person.gone_ms is not None and person.gone_ms + stop_ms < at_ms and not is_anew:
        yield "had been deleted"
    if accept is not None:
        yield from _about_the_address(hearing, delivery, accept)


def _controls(delivery: Delivery, kind: Kind, accept: Accept | None) -> Iterator[str]:
    yield f"channel:{delivery.channel}"
    yield f"type:{kind.name}"
    if accept is not None:
        yield f"provider:{accept.provider}"
    if delivery.request is not None and delivery.request.said.tenant:
        yield f"tenant:{delivery.request.said.tenant}"


def _about_the_address(hearing: Hearing, delivery: Delivery, accept: Accept) -> Iterator[str]:
    person, channel, at_ms = hearing.people.of(delivery.user_id), delivery.channel, accept.at_ms
    stop_ms, lag_ms = hearing.circumstances.stop_ms, hearing.circumstances.lag_ms
    bars = person.of(f"bar:{channel}")
    if channel == "push":
        about = f"device:{hearing.device_of(delivery, accept)}"
        holders = possible(hearing.people.holders(accept.address), at_ms - stop_ms - lag_ms, at_ms)
        if delivery.user_id not in holders:
            yield f"{accept.address} had been {holders[0]}'s"
    else:
        about = ADDRESS_FIELDS[channel]
    words, request = person.of(about), delivery.request
    assert request is not None
    since_ms = at_ms - stop_ms
    deciding = last(words, since_ms)
    if deciding is not None and not deciding.is_tailed:
        since_ms = hearing.oracle.known_ms(request.at_ms)  # senders do not hear of it
    if request.said.recipient is None:
        theirs = possible(words, since_ms, at_ms)
        # A phone's last token is the same phone's: it reaches the same person, or nobody.
        is_theirs = any(theirs) if channel == "push" else accept.address in theirs
        if not is_theirs:
            yield f"{accept.address} was theirs no more"
    barred = last(bars, at_ms - stop_ms)
    if barred is not None and min(possible(bars, at_ms - stop_ms, at_ms)) > at_ms:
        address = last(words, at_ms)
        if address is None or address.came_ms < barred.came_ms:
            yield f"{channel} was suppressed"


def _holds(hearing: Hearing, words: Words, at_ms: int, value: object) -> bool:
    """Whether it had been so for long enough that every sender knew."""
    if not words:
        return False
    values = possible(words, at_ms - hearing.circumstances.stop_ms, at_ms)
    return all(each is value for each in values) and _is_heard(hearing, words, at_ms)


def _is_heard(hearing: Hearing, words: Words, at_ms: int) -> bool:
    """An import's word is heard of once it was read, not before."""
    known_ms = hearing.oracle.known_ms(at_ms)
    deciding = last(words, at_ms - hearing.circumstances.stop_ms)
    return deciding is not None and (deciding.is_tailed or deciding.came_ms <= known_ms)
