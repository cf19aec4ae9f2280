"""`postrider show`, `lookup` and `receipts tail` on receipts as roles write them."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from agents.facts import Fact
from agents.receipts import ReceiptWriter
from schemas import ids, topics
from schemas.delivery import Body, Target
from schemas.kafka import Record
from streams.lookup import rows
from streams.lookup.stored import stored
from streams.supervisor import SlotLock
from tests.integration.command_line.conftest import PARTITIONS, Installation
from tests.integration.command_line.roles import Roles

QUEUED, SENT = Fact("queued"), Fact("sent", attempt=1, provider="sendgrid", provider_code="202")
RETRIED = Fact("deferred", "server_error", attempt=1, provider="sendgrid")
GONE = Fact("failed", "address_invalid", attempt=1, provider="fcm")
BROADCAST = ids.broadcast_id("", "spring")
NOBODY = "01234567-89ab-8def-8123-456789abcdef"


@pytest.fixture
def roles(postrider: Installation) -> Roles:
    return Roles(postrider)


class Story:
    """Receipts of one user's notification, one second after the other."""

    def __init__(self, user_id: str, *, broadcast_id: bytes = b"") -> None:
        self.user_id = user_id
        self.body = Body("order_confirmed", "transactional", {}, 0, broadcast_id=broadcast_id)
        self.id = ids.notification_id("", user_id, "k")
        self._now_ms = round(time.time() * 1000)
        self._writer = ReceiptWriter(partitions=PARTITIONS)

    @property
    def id_text(self) -> str:
        return ids.to_text(self.id)

    def told(self, channel: str, fact: Fact, device_id: str = "", devices: int = 1) -> Record:
        self._now_ms += 1000
        delivery_id = ids.delivery_id(self.id, channel, 0)
        at = self._writer.at(self._now_ms)
        if fact is QUEUED:
            return at.delivery(
                fact, self.body, channel, self.user_id, self.id, delivery_id, device_count=devices
            )
        target = Target(
            self.user_id, self.id, delivery_id, "", device_id=device_id, device_count=devices
        )
        return at.target(fact, self.body, channel, target, "m1")


def test_show_tells_each_channel_with_its_reasons_attempts_and_times(
    postrider: Installation,
) -> None:
    ann = Story("ann")
    postrider.write(
        ann.told("email", QUEUED),
        ann.told("push", QUEUED, devices=2),
        ann.told("email", RETRIED),
        ann.told("push", GONE, "phone", 2),
        ann.told("push", SENT, "tablet", 2),
        ann.told("email", SENT),
    )

    ended = postrider("show", ann.id_text)

    assert (ended.code, ended.err) == (0, "")
    title, columns, *lines = ended.out.splitlines()
    assert title == f"{ann.id_text}  order_confirmed for ann"
    shown = [dict(zip(columns.split("\t"), line.split("\t"), strict=True)) for line in lines]
    assert [(each["channel"].strip(), each["state"], each["reason"]) for each in shown] == [
        ("email", "sent", ""),
        ("push", "sent", "address_invalid"),
        ("phone", "failed", "address_invalid"),
        ("tablet", "sent", ""),
    ]
    assert shown[0]["attempts"] == "1"
    assert shown[0]["sent"] > shown[0]["queued"] > ""
    assert shown[0]["provider"] == "sendgrid 202"


def test_show_says_why_a_request_was_refused(postrider: Installation, roles: Roles) -> None:
    value = {"user_id": "bob", "type": "no_such_type", "idempotency_key": "k"}
    home = ids.partition_of("bob", PARTITIONS)
    postrider.write(Record(topics.REQUESTED["normal"], home, json.dumps(value).encode()))
    roles.decide(topics.REQUESTED["normal"])

    ended = postrider("show", ids.to_text(ids.notification_id("", "bob", "k")))

    assert ended.code == 0
    assert "no_such_type for bob" in ended.out
    assert "request rejected (unknown_type)" in ended.out


def test_show_counts_a_broadcast_by_channel_and_state_over_all_partitions(
    postrider: Installation,
) -> None:
    members = [Story(f"user-{n}", broadcast_id=BROADCAST) for n in range(6)]
    postrider.write(*(each.told("email", QUEUED) for each in members))
    postrider.write(*(each.told("email", SENT) for each in members[:4]))
    expected = {"email": {"queued": 2, "sent": 4}}

    scanned = postrider("show", ids.to_text(BROADCAST), "--json")
    assert json.loads(scanned.out)["counts"] == expected

    assert postrider("lookup", "--once").code == 0
    postrider.write(members[4].told("email", SENT))
    kept = postrider("show", ids.to_text(BROADCAST), "--json", "--since", "1ms")
    assert json.loads(kept.out)["counts"] == {"email": {"queued": 1, "sent": 5}}


def test_lookup_keeps_what_was_committed_goes_on_where_it_was_and_counts_nothing_twice(
    postrider: Installation, roles: Roles
) -> None:
    ann, bob = Story("ann"), Story("bob", broadcast_id=BROADCAST)
    roles.commit("email", None, [], [ann.told("email", QUEUED), bob.told("email", QUEUED)])
    roles.commit("email", None, [], [ann.told("email", GONE)], abort=True)

    first = postrider("lookup", "--once")
    roles.commit("email", None, [], [ann.told("email", SENT), bob.told("email", SENT)])
    second = postrider("lookup", "--once")

    assert "2 receipts read" in first.err
    assert "2 receipts read" in second.err
    with stored(postrider.config.data_dir, ids.partition_of("ann", PARTITIONS)) as store:
        (delivery,) = rows.deliveries_of(store, ann.id).values()
        assert (delivery.state.status, delivery.state.reasons) == ("sent", ())
        assert [told.notification_id for told in rows.history_of(store, "ann", 10)] == [ann.id]
    with stored(postrider.config.data_dir, ids.partition_of("bob", PARTITIONS)) as store:
        assert rows.counts_of(store, BROADCAST) == {("email", "sent"): 1}


def test_show_reads_a_lookup_that_is_running_and_what_it_has_not_read(
    postrider: Installation,
) -> None:
    ann = Story("ann")
    postrider.write(ann.told("email", QUEUED))
    assert postrider("lookup", "--once").code == 0
    postrider.write(ann.told("email", RETRIED))

    ended = postrider("show", ann.id_text, "--json", "--since", "1ms")

    (delivery,) = json.loads(ended.out)["deliveries"]
    assert (delivery["status"], delivery["queued_at"] > "") == ("deferred", True)


def test_a_second_lookup_on_the_same_data_is_refused(postrider: Installation) -> None:
    with SlotLock(postrider.config.data_dir / "lookup"):
        ended = postrider("lookup", "--once")

    assert (ended.code, ended.out) == (2, "")
    assert "another lookup runs" in ended.err


def test_show_refuses_what_is_no_id_or_unknown_in_one_line(postrider: Installation) -> None:
    for arguments, told in (
        (["nonsense"], "nonsense: not an id"),
        ([NOBODY], f"{NOBODY}: no receipt of it"),
        ([NOBODY, "--since", "soon"], "--since: expected a duration"),
    ):
        ended = postrider("show", *arguments)

        assert (ended.code, ended.out) == (2, "")
        assert told in ended.err
        assert len(ended.err.splitlines()) == 1


@contextlib.contextmanager
def tailing(postrider: Installation, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """`postrider receipts tail` in a process of its own."""
    command = [sys.executable, "-m", "streams.cli", "receipts", "tail", *options]
    with subprocess.Popen(
        [*command, "--config", str(postrider.file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_of(process: "subprocess.Popen[str]", count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


def test_receipts_tail_prints_committed_receipts_of_the_user_asked_for_until_ctrl_c(
    postrider: Installation, roles: Roles
) -> None:
    ann, bob = Story("ann"), Story("bob")
    roles.commit("email", None, [], [ann.told("email", QUEUED), bob.told("email", QUEUED)])
    roles.commit("email", None, [], [ann.told("email", GONE)], abort=True)

    with tailing(postrider, "--user", "ann", "--since", "1h") as process:
        (queued,) = lines_of(process, 1)
        roles.commit("email", None, [], [ann.told("email", SENT)])
        (sent,) = lines_of(process, 1)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)

    assert queued.split()[1:5] == ["email", "queued", "ann", "order_confirmed"]
    assert sent.split()[1:5] == ["email", "sent", "ann", "order_confirmed"]
    assert "\x1b" not in queued, "colours are for terminals"
    assert (process.returncode, rest, errors) == (0, "", "")


def test_receipts_tail_prints_whole_receipts_for_scripts_and_filters_them(
    postrider: Installation,
) -> None:
    ann, bob = Story("ann"), Story("bob")
    wanted = bob.told("push", SENT, "phone")
    postrider.write(
        ann.told("email", QUEUED), ann.told("email", SENT), bob.told("push", QUEUED), wanted
    )
    options = ("--status", "sent", "--status", "failed", "--channel", "push")

    with tailing(postrider, *options, "--since", "1h", "--json") as process:
        (line,) = lines_of(process, 1)

    assert line.encode() == wanted.value


def test_receipts_tail_refuses_what_no_receipt_can_have(postrider: Installation) -> None:
    for arguments, told in (
        (["--status", "gone"], "--status: no 'gone'; expected one of queued"),
        (["--channel", "fax"], "--channel: no 'fax'; expected one of push"),
        (["--since", "now"], "--since: expected a duration"),
    ):
        ended = postrider("receipts", "tail", *arguments)

        assert (ended.code, ended.out) == (2, "")
        assert told in ended.err
        assert len(ended.err.splitlines()) == 1
