"""L3 and L1 of producers that repeat themselves: one of them is decided, the others are told why not."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from proof.checker.cases import ids_of, same_key
from proof.checker.evidence import Broadcast, Evidence, Request
from proof.checker.hearing import Hearing
from proof.checker.rules import Rules
from proof.checker.verdict import Violation

Told = Sequence[tuple[str, str]]
"""Status and reason of each refusal."""


def repeats(hearing: Hearing) -> Iterator[Violation]:
    """Of single requests: a user's are judged together."""
    found, by_number = hearing.found, hearing.cases.by_number
    unsure = {(each.user_id, each.key) for each in found.unsure}
    refused = {each.request.number for each in hearing.requests if each.refusals}
    often = _used_again(found.requests)
    if not refused and not often:
        return
    suspect = [
        each
        for each in found.requests
        if each.number in refused or each.said.idempotency_key in often
    ]
    for group in same_key(suspect):
        if len(group) == 1 and not by_number[group[0].number].refusals:
            continue
        decided = [each for each in group if by_number[each.number].deliveries]
        for request in group:
            case, said = by_number[request.number], request.said
            if said.type not in hearing.rules.kinds:
                continue
            if not case.deliveries and (said.user_id, said.idempotency_key or "") in unsure:
                continue  # what it repeats may have been the one that nobody acknowledged
            told = [(each.status, each.reason) for each in case.refusals]
            yield from _answer(hearing.rules, request, decided, told)


def _used_again(requests: Sequence[Request]) -> set[str]:
    """Keys of more than one request."""
    keys = [key for each in requests if (key := each.said.idempotency_key) is not None]
    if len(set(keys)) == len(keys):  # as nearly always, and to count them takes much longer
        return set()
    return {key for key, count in Counter(keys).items() if count > 1}


def broadcast_repeats(
    found: Evidence, reached: set[int], refused: Counter[tuple[int, str, str]]
) -> Iterator[Violation]:
    """`reached`: broadcasts that anybody heard of; `refused`: what was told of the others, once
    for each time. To be asked when the parts that were judged apart are put together."""
    told: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    for number, status, reason in refused.elements():
        if reason != "channel_not_in_type":  # which speaks of a part of it only
            told[number].append((status, reason))
    for group in same_key(found.broadcasts):
        # One that nobody heard of may have been called off; if not, its members are missed. A
        # repeat that came by another partition is not told so: nobody there knows of the first, and
        # who repeats it there is told of it.
        silent = [each for each in group if not told[each.number]]
        decided = [each for each in group if each.number in reached] or silent
        for request in group:
            answers = told[request.number]
            if request.said.type not in found.rules.kinds:
                if answers != [("rejected", "unknown_type")]:
                    words = f"an unknown type was answered by {answers}"
                    yield Violation("L1", words, ids_of(request))
            elif answers or request.number in reached:
                told_by = [each for each in decided if not _is_shared(request, each, reached)]
                if answers:
                    told_by += _first_there(request, silent, decided, found.rules)
                yield from _answer(found.rules, request, told_by, answers)


def _first_there(
    request: Broadcast, silent: Iterable[Broadcast], decided: Iterable[Broadcast], rules: Rules
) -> Iterator[Broadcast]:
    """Who was the first to bring it to the partition of a later one."""
    there = [each for each in decided if each.partition == request.partition]
    for each in silent:
        is_before = each.partition == request.partition and each.offset < request.offset
        if is_before and all(abs(each.at_ms - one.at_ms) >= rules.dedup_ms for one in there):
            yield each


def _is_shared(one: Request, other: Request, reached: set[int]) -> bool:
    """The same, by two partitions: each tells every partition, and whichever is there first is
    heard. So each has members of its own; who heard of both is another invariant's matter."""
    is_apart = one.partition != other.partition and one.said.content() == other.said.content()
    return is_apart and {one.number, other.number} <= reached


def _answer(
    rules: Rules, request: Request, decided: Iterable[Request], told: Told
) -> Iterator[Violation]:
    """`decided`: those with the same key that were, perhaps itself."""
    near = [
        each
        for each in decided
        if each is not request and abs(each.at_ms - request.at_ms) < rules.dedup_ms
    ]
    if any(each is request for each in decided):
        if near:
            ids = ids_of(request) + ids_of(near[0])
            yield Violation("L3", "the same key was decided twice", ids)
        if told:
            yield Violation("L3", f"decided, and refused as {told}", ids_of(request))
    elif told:
        content = request.said.content()
        allowed = {
            ("duplicate", "") if each.said.content() == content
            else ("rejected", "idempotency_conflict")
            for each in near
        }  # fmt: skip
        if len(told) != 1 or told[0] not in allowed:
            words = f"refused as {told}, expected one of {sorted(allowed)}"
            yield Violation("L3" if len(told) > 1 else "L1", words, ids_of(request))
