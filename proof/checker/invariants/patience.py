"""L5, patience: whom a provider refused it is not asked about again too soon, nor too often."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from proof.checker.cases import Delivery
from proof.checker.evidence import Accept, Refusal
from proof.checker.hearing import Hearing
from proof.checker.verdict import Violation

_WAITS_MS = (30_000, 120_000, 600_000)
"""Between attempts; each may be a tenth shorter, lest all come back together."""
_EARLIEST_SHARE = 0.9
_THROTTLED_MS = 1_000
"""Whoever is throttled and not told for how long waits for so long at least."""
Call = Accept | Refusal


def patience(hearing: Hearing) -> Iterator[Violation]:
    refused: defaultdict[tuple[str, str], list[Refusal]] = defaultdict(list)
    for refusal in hearing.found.refusals:
        for one in zip(refusal.delivery_ids, refusal.addresses, strict=True):
            if one[0] in hearing.cases.deliveries:
                refused[one].append(refusal)
    for (delivery_id, address), refusals in refused.items():
        delivery = hearing.cases.deliveries[delivery_id]
        if any(each.status == "in_doubt" for each in delivery.receipts):
            continue  # a crash has lost what the provider had said
        accepts = [each for each in delivery.accepts if each.address == address]
        calls: list[Call] = sorted([*refusals, *accepts], key=lambda each: each.at_ms)
        for before, then in pairwise(calls):
            if isinstance(before, Refusal) and _are_alike(before, then):
                yield from _impatient(delivery, before, then)


def _are_alike(one: Call, other: Call) -> bool:
    return (one.provider, one.round) == (other.provider, other.round)


def _impatient(delivery: Delivery, refusal: Refusal, then: Call) -> Iterator[Violation]:
    waited_ms = then.at_ms - refusal.at_ms
    told = f"called again after {waited_ms} ms, as attempt {then.attempt}"
    if then.at_ms < refusal.again_ms:
        words = f"{told}, {refusal.again_ms - then.at_ms} ms before its Retry-After was over"
        yield Violation("L5", words, delivery.ids)
    if refusal.status == 429:
        if waited_ms < _THROTTLED_MS:
            yield Violation("L5", f"{told}, though it was throttled", delivery.ids)
        if then.attempt != refusal.attempt:
            words = f"{told}, though throttling attempt {refusal.attempt} costs none"
            yield Violation("L5", words, delivery.ids)
    elif refusal.status == 0 or refusal.status >= 500:
        if then.attempt != refusal.attempt + 1 or then.attempt > len(_WAITS_MS) + 1:
            yield Violation("L5", f"{told}, after attempt {refusal.attempt}", delivery.ids)
        elif waited_ms < _EARLIEST_SHARE * _WAITS_MS[refusal.attempt - 1]:
            yield Violation("L5", f"{told}, which is too soon", delivery.ids)
