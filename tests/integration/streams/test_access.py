"""Principals that may do what is documented, and nothing else, on a broker that checks it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from sandbox.process import SandboxProcess
from schemas import topics
from schemas.ids import partition_of
from schemas.receipt import Receipt, decode_receipt
from streams.access import access_of
from streams.assembly import layout_of
from streams.config import Config
from streams.names import Names
from streams.topic_admin import connected
from tests.acls import Acl, grant, revoke
from tests.brokers import SecuredKafka, clerk_of
from tests.documented_access import documented_access
from tests.integration.streams.secured import PARTITIONS, Site, Way, sasl, until_read

ROLES = ("decide", "push")
NOW = "2026-11-24T12:00:00Z"


def documented(role: str, names: Names) -> list[Acl]:
    access = documented_access(role)
    return [
        *(Acl("topic", names.physical(topic), "Read") for topic in sorted(access.topics)),
        *(Acl("topic", names.physical(topic), "Write") for topic in sorted(access.writes)),
        *(Acl("topic", names.physical(topic), "DescribeConfigs") for topic in access.topics),
        Acl("group", names.group(role), "Read"),
        Acl("transactional id", names.physical(f"postrider-{role}-"), "Write", "prefixed"),
    ]


class Office:
    """Topics, and for each role a clerk with the documented ACLs."""

    def __init__(self, kafka: SecuredKafka, site: Site, admin: AIOKafkaAdminClient) -> None:
        self.admin = admin
        self.config: Config = site.config(site.file("admin", Way(kafka.broker.bootstrap)))
        self.files = {
            role: site.file(
                role,
                sasl(kafka.address("sasl"), "SASL_PLAINTEXT", "PLAIN", username=clerk_of(role)),
            )
            for role in ROLES
        }
        self.acls = {role: documented(role, self.config.kafka.names) for role in ROLES}
        self._site = site

    async def open(self) -> None:
        layout, names = layout_of(self.config), self.config.kafka.names
        async with connected(self.config.kafka.connection(), layout=layout, names=names) as admin:
            await admin.create()
        for role in ROLES:
            await grant(self.admin, clerk_of(role), self.acls[role])

    async def say(self, topic: str, said: Mapping[str, object]) -> None:
        """As a producer would."""
        name, user_id = self.config.kafka.names.physical(topic), str(said["user_id"])
        home = partition_of(user_id, PARTITIONS)
        async with AIOKafkaProducer(**self.config.kafka.connection()) as producer:
            await producer.send_and_wait(
                name, json.dumps(said).encode(), user_id.encode(), partition=home
            )

    async def receipts_until(self, status: str) -> list[Receipt]:
        """In order, up to the first of this status."""
        found: list[Receipt] = []
        async with (
            AIOKafkaConsumer(
                self.config.kafka.names.physical(topics.RECEIPTS),
                **self.config.kafka.connection(),
                auto_offset_reset="earliest",
                isolation_level="read_committed",
            ) as consumer,
            asyncio.timeout(60),
        ):
            async for record in consumer:
                found.append(decode_receipt(record.value))
                if found[-1].status == status:
                    return found
        raise AssertionError("a consumer without an end ended")

    async def refusals(self, role: str, *, until: Callable[[list[str]], bool]) -> list[str]:
        """What the role is told it lacks; the broker obeys an ACL a moment after it has taken it."""
        config = self._site.config(self.files[role])
        layout, names = layout_of(config), config.kafka.names
        access = access_of(role, layout.ingress)
        async with (
            asyncio.timeout(20),
            connected(config.kafka.connection(), layout=layout, names=names) as admin,
        ):
            while True:
                missing = await admin.refused(role, access)
                told = [each.line(clerk_of(role)) for each in missing]
                if until(told):
                    return told


@pytest.fixture
async def office(secured: SecuredKafka, site: Site) -> AsyncIterator[Office]:
    admin = AIOKafkaAdminClient(bootstrap_servers=secured.broker.bootstrap)
    await admin.start()
    opened = Office(secured, site, admin)
    await opened.open()
    for role in ROLES:
        await opened.refusals(role, until=lambda told: not told)
    yield opened
    await admin.close()


async def test_without_its_acls_of_one_kind_a_role_is_told_which_it_needs(office: Office) -> None:
    for role, acls in office.acls.items():
        for kind, operation in sorted({(acl.kind, acl.operation) for acl in acls}):
            revoked = sorted(acl for acl in acls if (acl.kind, acl.operation) == (kind, operation))
            pattern = (
                " --resource-pattern-type prefixed" if revoked[0].pattern == "prefixed" else ""
            )
            told = f"kafka.security: Kafka does not let us {operation} {kind} "
            command = (
                f": kafka-acls.sh --add --allow-principal User:{clerk_of(role)} "
                f"--operation {operation}"
                + "".join(f" --{kind.replace(' ', '-')} {acl.name}" for acl in revoked)
                + pattern
            )

            await revoke(office.admin, clerk_of(role), revoked)

            await office.refusals(role, until=partial(_is_said, told, command))
            await grant(office.admin, clerk_of(role), revoked)
            await office.refusals(role, until=lambda told: not told)


def _is_said(begin: str, end: str, lines: list[str]) -> bool:
    return any(line.startswith(begin) and line.endswith(end) for line in lines)


async def test_with_an_acl_too_few_a_worker_does_not_start_and_with_all_of_them_it_works(
    office: Office, site: Site
) -> None:
    acl = Acl("group", office.config.kafka.names.group("decide"), "Read")
    await revoke(office.admin, clerk_of("decide"), [acl])
    await office.refusals("decide", until=bool)

    code = await asyncio.to_thread(site.start("decide", office.files["decide"]).wait, 60)

    told = site.told_by(office.files["decide"])
    assert code == 78
    assert told.count("\n") == 1
    assert told.startswith(
        f"postrider: kafka.security: Kafka does not let us Read group {acl.name}"
    )

    await grant(office.admin, clerk_of("decide"), [acl])
    await office.refusals("decide", until=lambda told: not told)
    sandbox = SandboxProcess(site.folder / "data" / "sandbox")
    await sandbox.start()
    try:
        for role in ROLES:
            site.start(role, office.files[role])
        await office.say(
            topics.RECIPIENTS_CHANGED,
            {"user_id": "ann", "change": "device_registered", "source": "user", "occurred_at": NOW,
             "device_id": "phone", "platform": "android", "token": "token-of-ann"},
        )  # fmt: skip
        await until_read(office.config, {"decide": topics.RECIPIENTS_CHANGED})
        await office.say(
            topics.REQUESTED["normal"],
            {"user_id": "ann", "type": "friend_joined", "channels": ["push"],
             "data": {"friend": "Noor"}, "idempotency_key": "1"},
        )  # fmt: skip

        receipts = await office.receipts_until("sent")

        assert [each.status for each in receipts] == ["queued", "sent"]
        await until_read(
            office.config,
            {"decide": topics.REQUESTED["normal"], "push": topics.deliveries("push", "bulk")},
        )
    finally:
        await sandbox.stop()
