"""`python -m proof.load EVIDENCE CONFIG PLAN`: introduces people, says so, then does what PLAN says.

Prints a line `known` when everything said of them has been read, and `done` when all that it asked
for is acknowledged. Configured by the environment, as workers are.
"""

import asyncio
import sys
import time
from pathlib import Path

import msgspec

from proof.checker.evidence import Known
from proof.intents import IntentsLedger
from proof.load.crowd import Crowd
from proof.load.outbox import Outbox
from proof.load.plan import LoadPlan
from proof.load.traffic import Traffic
from schemas.recipient_events import ImportBatch
from streams.config import Config, load
from streams.demo.lag import Lag

_LOOK_SECONDS = 0.6
_QUIET_LOOKS = 3
"""Groups tell once a second how far they are, and what the one writes another reads."""


async def run(evidence: Path, config: Config, plan: LoadPlan) -> None:
    import random

    ledger = IntentsLedger(evidence)
    outbox = Outbox(
        config.kafka.connection(), names=config.kafka.names, partitions=config.partitions,
        ledger=ledger,
    )  # fmt: skip
    await outbox.start()
    crowd = Crowd(
        count=plan.people,
        first=plan.first,
        randomness=random.Random(plan.seed),
        bad_mailboxes_among=plan.bad_mailboxes_among,
    )
    for said in crowd.introductions():
        outbox.change(said, partition=outbox.home_of(said["user_id"]))
    for line in crowd.imported():
        outbox.bring(ImportBatch([line]))
    await outbox.flush()
    await until_read(config)
    ledger.append(Known(time.time_ns() // 1_000_000))
    print("known", flush=True)
    await Traffic(plan, outbox, crowd).run()
    await outbox.stop()
    ledger.close()
    print("done", flush=True)


async def until_read(config: Config) -> None:
    """Until no role has anything left to read."""
    lag = Lag(connection=config.kafka.connection(), names=config.kafka.names)
    await lag.start()
    try:
        quiet = 0
        while quiet < _QUIET_LOOKS:
            await asyncio.sleep(_LOOK_SECONDS)
            quiet = 0 if await lag.waiting() else quiet + 1
    finally:
        await lag.close()


def main() -> None:
    evidence, config_file, plan = sys.argv[1:]
    config = load(Path(config_file))
    asyncio.run(run(Path(evidence), config, msgspec.json.decode(plan, type=LoadPlan)))


if __name__ == "__main__":
    main()
