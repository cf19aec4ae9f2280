"""The checker: evidence in, violations out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from proof.checker.background import Background
from proof.checker.evidence import Accept, Evidence, Refusal
from proof.checker.gathered import Cases
from proof.checker.hearing import Hearing
from proof.checker.invariants import equations
from proof.checker.invariants.burials import burials
from proof.checker.invariants.decisions import decisions
from proof.checker.invariants.doubles import doubles
from proof.checker.invariants.expiries import expiries
from proof.checker.invariants.inboxes import inboxes
from proof.checker.invariants.limits import caps, rates
from proof.checker.invariants.liveness import liveness
from proof.checker.invariants.loss import loss
from proof.checker.invariants.patience import patience
from proof.checker.invariants.phantoms import phantoms, unclaimed
from proof.checker.invariants.quiet import quiet
from proof.checker.invariants.receipts import receipts
from proof.checker.invariants.repeats import broadcast_repeats, repeats
from proof.checker.invariants.silence import silence
from proof.checker.invariants.stops import stops
from proof.checker.invariants.times import times
from proof.checker.invariants.unsure import unsure
from proof.checker.untold import expect
from proof.checker.verdict import Tally, Verdict, Violation

_INVARIANTS: Sequence[Callable[[Hearing], Iterator[Violation]]] = (
    loss, expiries, unsure, phantoms, repeats, doubles, decisions, stops, times, caps, patience,
    quiet, receipts, burials, inboxes,
)  # fmt: skip
"""Those that are asked of each part."""
_WITHOUT_RECEIPTS = (silence, phantoms, doubles, stops, times, caps, quiet)
"""Those that need none."""


@dataclass(slots=True)
class Part:
    """What judging some of the users came to; parts are put together by `whole`."""

    violations: list[Violation]
    tally: Tally
    reached: set[int]
    """Broadcasts that somebody of ours heard of."""
    refused: Counter[tuple[int, str, str]]
    """What was told of broadcasts as such: number, status, reason."""
    odd: equations.Odd


def judge(found: Evidence, *, is_sparing: bool = True) -> Verdict:
    """Of everything at once; the verdict is the same if what is plain is not spared a look."""
    calls = _calls(found, lambda each: each.provider)
    background = Background(found, found.changes, calls)
    cases = Cases(found, found.receipts, is_sparing=is_sparing)
    expect_untold(cases, background)
    strange = []
    for each in found.accepts:
        delivery = cases.deliveries.get(each.delivery_id)
        if delivery is None:
            strange.append(unclaimed(found.circumstances, each))
        else:
            delivery.accepts += (each,)
    verdict = whole(found, [judge_part(hear(cases, background))])
    verdict.violations += rates(found.rules, _calls(found, lambda each: each.line))
    verdict.violations += strange
    return verdict


def _calls(found: Evidence, whose: Callable[[Accept | Refusal], str]) -> dict[str, list[int]]:
    """When each was called; a call may have brought many messages."""
    calls: defaultdict[str, list[int]] = defaultdict(list)
    accepts = {each.call: each for each in found.accepts}.values()
    together: Iterable[Accept | Refusal] = chain(accepts, found.refusals)
    for each in together:
        calls[whose(each)].append(each.at_ms)
    return calls


def expect_untold(cases: Cases, background: Background, part: int = 0) -> None:
    """Take in what nobody tells of, if it is said that nobody tells."""
    if not cases.found.circumstances.has_receipts:
        if cases.strays or cases.deliveries:
            raise ValueError(
                "there are receipts, though they are said to be no part of the evidence"
            )
        expect(cases, background, part)


def hear(cases: Cases, background: Background, part: int = 0) -> Hearing:
    """Once what providers took has come to its deliveries."""
    cases.settle(background.plain)
    return Hearing(cases, background, part)


def judge_part(hearing: Hearing) -> Part:
    """Everything that only the users of this part are needed for."""
    asked = _INVARIANTS if hearing.circumstances.has_receipts else _WITHOUT_RECEIPTS
    violations = [violation for invariant in asked for violation in invariant(hearing)]
    terms, odd = equations.count(hearing)
    return Part(
        violations,
        Tally(terms, _doubts(hearing)),
        reached={case.request.number for case in hearing.broadcasts if case.deliveries},
        refused=Counter(
            (case.request.number, each.status, each.reason)
            for case in hearing.broadcasts
            for each in case.refusals
        ),
        odd=odd,
    )


def whole(found: Evidence, parts: Sequence[Part]) -> Verdict:
    """`found`: of any part, since broadcasts, rubbish and circumstances are known to all."""
    violations = [each for part in parts for each in part.violations]
    tally = sum((part.tally for part in parts), Tally())
    tally.counts["broadcasts"] = len(found.broadcasts)
    reached = set[int]().union(*(part.reached for part in parts))
    refused = sum((part.refused for part in parts), Counter[tuple[int, str, str]]())
    violations += broadcast_repeats(found, reached, refused)
    odd = equations.together(part.odd for part in parts)
    violations += liveness(found, equations.some_of(odd, "E1", "E2"))
    if found.circumstances.has_receipts:  # they are counted
        violations += equations.equations(tally.counts, odd)
    return Verdict(violations, tally)


def _doubts(hearing: Hearing) -> Counter[str]:
    return Counter(_told_doubts(hearing))


def _told_doubts(hearing: Hearing) -> Iterator[str]:
    for delivery in hearing.others:
        for each in delivery.receipts:
            if each.status == "in_doubt":
                yield f"{each.channel} {each.reason}"
