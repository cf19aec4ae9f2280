"""L4, decisions: nothing is handed to a sender that its user was known not to want.

Senders would stop it, too, where it is the person's own word: what reaches nobody may yet be the
decision of somebody who has forgotten them.
"""

from collections.abc import Iterator

from proof.checker.hearing import Hearing
from proof.checker.instants import ms_of
from proof.checker.verdict import Violation


def decisions(hearing: Hearing) -> Iterator[Violation]:
    for delivery in hearing.others:
        kind = hearing.kind_of(delivery)
        if kind is None or kind.category.mandatory:
            continue
        matter = hearing.matter_of(delivery)
        for receipt in delivery.receipts:
            if receipt.status != "queued":
                continue
            for about in (f"{delivery.channel}.enabled", f"types.{kind.name}"):
                known = hearing.oracle.wishes(matter, about, ms_of(receipt.occurred_at))
                if all(each is False for each in known):
                    words = f"queued, though {about} was known to be off"
                    yield Violation("L4", words, delivery.ids)
