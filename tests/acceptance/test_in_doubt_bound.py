"""What a kill leaves in doubt is bounded by `workers.in_doubt`, however many wait to be sent."""

from pathlib import Path

import pytest

from sandbox.faults import FaultRule
from streams.embedded_kafka import EmbeddedKafka
from streams.topology import DECIDE
from tests.acceptance.pipeline_lab import changed_config
from tests.acceptance.scripted_lab import scripted
from tests.acceptance.talking import accepted, mail, until, until_settled
from tests.acceptance.test_pipeline_faults import check

BOUND = 120
"""More than wait in any one partition (113): they may be one batch, and a larger one goes alone."""
WAITING = 400


@pytest.mark.timeout(120)
async def test_a_kill_leaves_no_more_in_doubt_than_the_configuration_allows(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    file = changed_config(tmp_path, "in_doubt: 4000", f"in_doubt: {BOUND}")
    async with scripted(kafka.bootstrap, tmp_path, file=file, roles=(DECIDE, "email")) as opened:
        await opened.until_ready()
        silence = await opened.faults(FaultRule(effect="hang"))
        orders = [await mail(opened, f"waiting-{number}") for number in range(WAITING)]
        # The provider takes them and does not answer: whoever may be called, is.
        await until(opened, lambda: len(accepted(opened)) > BOUND // 2)

        opened.workers["email"].kill()
        opened.workers["email"].wait()
        await opened.no_faults(silence)
        opened.start("email")
        await until_settled(opened, *orders)

        doubted = {each.delivery_id for each in opened.receipts if each.status == "in_doubt"}
        assert BOUND // 2 < len(doubted) <= BOUND
        assert len(accepted(opened)) >= WAITING - len(doubted)
        await check(opened, may_doubt=True)
