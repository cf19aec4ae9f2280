"""Evidence without receipts: what became of a delivery is told by what providers took, and no more.

That is told apart by its delivery id, `<key of the request>:<user>`; a request has one channel.
What receipts would have to say is not asked: why somebody was left out, whether a second call was in
doubt, how patient a sender was, whether facts agree.
"""

from collections.abc import Iterable

from proof.checker.background import Background
from proof.checker.cases import Case
from proof.checker.gathered import Cases


def expect(cases: Cases, background: Background, part: int = 0) -> None:
    """Take in a delivery for each user of the part who may have been meant. Raises `ValueError` where
    a request has several channels."""
    for case in cases.by_number.values():
        kind = cases.found.rules.kinds.get(case.said.type)
        if kind is None:
            continue
        channels = case.said.channels or kind.channels
        if len(channels) > 1:
            raise ValueError(f"{case.ids[0]} has several channels, and ids that do not tell them")
        name = case.said.idempotency_key or str(case.request.number)
        for user_id in _meant(case, background, part):
            cases.take_untold(case, f"{name}:{user_id}", user_id, channels[0])


def _meant(case: Case, background: Background, part: int) -> Iterable[str]:
    if case.said.user_id:
        return (case.said.user_id,)
    return background.members.perhaps(case.request, part)
