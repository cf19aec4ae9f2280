"""An intent without an outcome, found where nobody works on it any more.

The worker died between telling the ledger of a call and telling its outcome. Whether the call
was made, and what came of it, nobody can know: it is treated like a lost answer.
"""

from policies.retry import InDoubtFor, RetryAt, after_doubt
from policies.rules import InDoubt, Rules


def at_take_over(
    *, attempt: int, call: int, unit_id: bytes, expires_ms: int, in_doubt: InDoubt, now_ms: int
) -> RetryAt | InDoubtFor:
    """What becomes of the unit whose intent of this attempt and call was found."""
    return after_doubt(
        "outcome_lost",
        attempt=attempt,
        call=call,
        unit_id=unit_id,
        expires_ms=expires_ms,
        in_doubt=in_doubt,
        now_ms=now_ms,
    )


def policy_of(rules: Rules, type_name: str) -> InDoubt:
    """The type's policy; a type that is configured no more is held, since that never doubles."""
    kind = rules.types.get(type_name)
    return "hold" if kind is None else kind.category.in_doubt
