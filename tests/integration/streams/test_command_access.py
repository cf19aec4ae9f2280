"""Commands by a principal that may do what is documented of each, and nothing else."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from schemas import topics
from streams.assembly import layout_of
from streams.config import Config
from streams.topology import ROLES
from tests.acls import Acl, grant, revoke
from tests.brokers import SecuredKafka, clerk_of
from tests.integration.command_line.conftest import Ended
from tests.integration.streams.secured import Postrider, Site, sasl

CLERK = clerk_of("push")
ASKED = ("--user", "ann", "--type", "order_confirmed")
NOBODYS = "a2587254-27db-8dbe-bd40-d6b4bcb8d53c"


def needs(config: Config, people: Path) -> dict[tuple[str, ...], list[Acl]]:
    """By command, as `docs/operations.md` has it."""
    names = config.kafka.names

    def on(topic: str, operation: str) -> list[Acl]:
        return [Acl("topic", names.physical(topic), operation)]

    def on_all(*operations: str) -> list[Acl]:
        every_topic = [topic.name for topic in layout_of(config).topics()]
        return [acl for topic in every_topic for each in operations for acl in on(topic, each)]

    return {
        ("topics", "create"): on_all("Create", "Describe"),
        ("topics", "check"): on_all("Describe", "DescribeConfigs"),
        ("send", *ASKED): on(topics.REQUESTED["normal"], "Write"),
        ("recipients", "import", str(people)): on(topics.RECIPIENTS_IMPORTED, "Write"),
        ("pause", "--channel", "sms"): on(topics.CONTROLS, "Write"),
        ("resume", "--channel", "sms"): [
            *on(topics.CONTROLS, "Write"),
            *on(topics.CONTROLS, "Read"),
        ],
        ("pause", "--list"): on(topics.CONTROLS, "Read"),
        ("lookup", "--once"): on(topics.RECEIPTS, "Read"),
        ("show", NOBODYS): on(topics.RECEIPTS, "Read"),
        ("dlq", "list"): on(topics.DEAD_LETTERS, "Read"),
        ("reconcile", "--since", "1h"): [
            *on_all("Read"),
            *(Acl("group", names.group(role), "Describe") for role in ROLES),
        ],
    }


def test_each_command_works_with_exactly_the_acls_that_are_documented_and_says_so_without(
    secured: SecuredKafka, site: Site, postrider: Postrider
) -> None:
    way = sasl(secured.address("sasl"), "SASL_PLAINTEXT", "PLAIN", username=CLERK)
    file = site.file("clerk", way)
    people = site.folder / "people.jsonl"
    people.write_text('{"user_id": "ann", "email": "ann@example.org"}\n')

    def change(by: Callable[..., Awaitable[None]], acls: list[Acl]) -> None:
        async def change_them() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=secured.broker.bootstrap)
            await admin.start()
            await by(admin, CLERK, acls)
            await admin.close()

        asyncio.run(change_them())

    def until(command: tuple[str, ...], *, is_let: bool) -> Ended:
        """The broker obeys an ACL a moment after it has taken it; each look takes a moment."""
        for _ in range(100):
            ended = postrider(file, *command)
            if is_let != bool(re.search("ACL|Authorization failed", ended.out + ended.err)):
                return ended
        raise AssertionError(f"{command}: {ended}")

    for command, acls in needs(site.config(file), people).items():
        refused = until(command, is_let=False)
        change(grant, acls)
        ended = until(command, is_let=True)
        change(revoke, acls)

        assert refused.code != 0, command
        assert refused.out or refused.err.count("\n") == 1, command
        assert ended.code == 0 or "no receipt of it" in ended.err, f"{command}: {ended}"
