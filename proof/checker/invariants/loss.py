"""L1, no loss: every promise comes to one end that the policy allows, `sent` only if it was."""

from collections import defaultdict
from collections.abc import Iterator, Sequence, Set

from proof.checker.cases import Case, Delivery, in_one_window
from proof.checker.evidence import Receipt
from proof.checker.hearing import Hearing
from proof.checker.oracle import End, send_ms
from proof.checker.rules import Kind
from proof.checker.troubles import DECIDE
from proof.checker.verdict import Violation


def loss(hearing: Hearing) -> Iterator[Violation]:
    for case in hearing.requests:
        yield from _request(hearing, case)
    for case in hearing.broadcasts:
        yield from _deliveries(hearing, case)
    yield from _forgotten_members(hearing)


def _request(hearing: Hearing, case: Case) -> Iterator[Violation]:
    """It is decided or refused, once; every channel of it is spoken of."""
    kind = hearing.rules.kinds.get(case.said.type)
    if kind is None:
        told = [(each.status, each.reason) for each in case.refusals]
        if told != [("rejected", "unknown_type")] or case.deliveries:
            yield Violation("L1", f"a request of an unknown type was answered by {told}", case.ids)
        return
    if not case.deliveries:
        if not case.refusals:
            yield Violation("L1", "nothing was ever said of a request", case.ids)
        return
    channels, reached = case.said.channels or kind.channels, set(case.reached())
    for channel in channels:
        if (case.said.user_id, channel) not in reached:
            yield Violation("L1", f"nothing was ever said of its {channel}", case.ids)
    yield from _deliveries(hearing, case)


def _deliveries(hearing: Hearing, case: Case) -> Iterator[Violation]:
    if hearing.rules.kinds.get(case.said.type) is None:
        if case.deliveries:
            yield Violation("L1", "a broadcast of an unknown type was decided", case.ids)
        return
    others = [each for each in case.deliveries if not each.is_plain]
    for delivery in others:
        yield from _ends(hearing, delivery)
    if others:
        yield from _fallbacks(hearing, case, {each.user_id for each in others})


def _ends(hearing: Hearing, delivery: Delivery) -> Iterator[Violation]:
    """Each device of each round ends once, in a way that is allowed."""
    matter = hearing.matter_of(delivery)
    allowed = hearing.oracle.ends(matter)
    first = delivery.receipts[0]
    devices = {each.device_id for each in delivery.receipts if each.device_id}
    count = max(each.device_count for each in delivery.receipts)
    if devices and len(devices) != count:
        words = f"{len(devices)} of {count} devices were heard of"
        yield Violation("L1", words, delivery.ids)
    if devices:
        for forgotten in sorted(hearing.oracle.sure_devices(matter) - devices):
            yield Violation("L1", f"{forgotten} was forgotten", delivery.ids)
    for (device, number), receipts in delivery.units().items():
        ends = [each for each in receipts if each.is_end]
        where = f"{first.channel}{' ' + device if device else ''}, round {number}"
        if not ends:
            if not hearing.waits(delivery, receipts):
                told = [f"{each.status} {each.reason}".strip() for each in receipts]
                yield Violation("L1", f"{where} never ended, told: {told}", delivery.ids)
        elif len(ends) > 1:
            told = [f"{each.status} {each.reason}".strip() for each in ends]
            yield Violation("L1", f"{where} ended {len(ends)} times: {told}", delivery.ids)
        for end in ends:
            if (end.status, end.reason) not in allowed:
                words = f"{where} ended {end.status} {end.reason}, expected {_told(allowed)}"
                yield Violation(_breach(end), words, delivery.ids)
        yield from sent_only_if_it_was(hearing, delivery, device, number, ends)


def sent_only_if_it_was(
    hearing: Hearing, delivery: Delivery, device: str, number: int, ends: list[Receipt]
) -> Iterator[Violation]:
    if delivery.channel == "in_app":
        return
    is_taken = any(
        each.round == number and hearing.device_of(delivery, each) == device
        for each in delivery.accepts
    )
    is_told = any(each.status == "sent" for each in ends)
    if is_told and not is_taken:
        yield Violation("L1", "said to be sent, and no provider has it", delivery.ids)
    is_admitted = is_told or any(
        each.status == "in_doubt" and each.device_id == device and each.round == number
        for each in delivery.receipts
    )
    if is_taken and not is_admitted:
        yield Violation("L1", "a provider has it, and nobody says so", delivery.ids)


def _breach(end: Receipt) -> str:
    """Sent against the rules is a phantom, a doubt without a cause another; all else is loss."""
    return {"sent": "L2", "in_doubt": "L3"}.get(end.status, "L1")


def _fallbacks(hearing: Hearing, case: Case, users: Set[str]) -> Iterator[Violation]:
    """What failed for good on every device goes on by the next channel, and nothing else does."""
    kind = hearing.rules.kinds.get(case.said.type)
    if kind is None:
        return
    named = case.said.channels
    ways = [each for each in kind.fallback if each not in (named or ())]
    heard: defaultdict[str, dict[str, Delivery]] = defaultdict(dict)
    for each in case.deliveries:
        if each.user_id in users:
            heard[each.user_id][each.channel] = each
    for of_user in heard.values():
        yield from _of_user(case, kind, of_user, ways)


def _of_user(
    case: Case, kind: Kind, heard: dict[str, Delivery], ways: list[str]
) -> Iterator[Violation]:
    first = case.said.channels or kind.channels
    failed = [each for each in first if each in heard and _has_failed(heard[each])]
    is_resent = kind.category.in_doubt == "resend"
    given_up = [each for each in first if each in heard and is_resent and _is_given_up(heard[each])]
    for channel in heard:
        if channel in first:
            continue
        if channel not in ways:
            words = f"told by {channel}, which is no way of it"
            yield Violation("L2", words, heard[channel].ids)
        elif not failed and not given_up:
            words = f"went on by {channel}, though nothing failed"
            yield Violation("L2", words, heard[channel].ids)
    if failed and ways and not any(each in heard for each in ways):
        yield Violation("L1", f"failed by {failed}, and no fallback went on", case.ids)


def _has_failed(delivery: Delivery) -> bool:
    """Every device failed or is gone, and one failed at least."""
    ends = delivery.ends()
    over = ends and all(each.status == "failed" or each.reason == "address_gone" for each in ends)
    return bool(over) and any(
        each.status == "failed" and each.reason != "stage_error" for each in ends
    )


def _is_given_up(delivery: Delivery) -> bool:
    """In doubt to the last, for a type that would rather tell twice."""
    return any(each.status == "in_doubt" and each.is_final for each in delivery.receipts)


def _forgotten_members(hearing: Hearing) -> Iterator[Violation]:
    """Everybody who was meant by a broadcast is reached, unless it was called off before."""
    for group in in_one_window(hearing.found.broadcasts, hearing.rules.dedup_ms):
        request, kind = group[0], hearing.rules.kinds.get(group[0].said.type)
        cases = [hearing.cases.by_number[each.number] for each in group]
        if kind is None or _is_called_off(hearing, cases):
            continue
        channels = [
            each for each in request.said.channels or kind.channels if each in kind.channels
        ]
        reached = {place for case in cases for place in case.reached()}
        for user_id in hearing.members.certain(request, hearing.part):
            for channel in channels:
                if (user_id, channel) not in reached:
                    words = f"{user_id} was forgotten by {channel}"
                    yield Violation("L1", words, (*cases[0].ids, f"user {user_id}"))


def _is_called_off(hearing: Hearing, cases: Sequence[Case]) -> bool:
    """A broadcast, before all its members had to be decided for: that goes on until the last of those
    who heard of it, unless it was held up."""
    called_off_ms = hearing.oracle.called_off_ms(cases[0].said, cases[0].request.at_ms)
    if called_off_ms is None:
        return False
    asked = [max(each.request.at_ms, send_ms(each.said)) for each in cases]
    told = [each.told_ms() for case in cases for each in case.deliveries]
    last_ms = max((*asked, *told))
    is_in_time = called_off_ms <= last_ms + hearing.circumstances.lag_ms
    controls = [f"type:{cases[0].said.type}", f"tenant:{cases[0].said.tenant}"]
    hindrances = hearing.background.hindrances
    return is_in_time or hindrances.any_for(DECIDE, controls, last_ms, called_off_ms)


def _told(ends: frozenset[End]) -> str:
    return " or ".join(sorted(f"{status} {reason}".strip() for status, reason in ends))
