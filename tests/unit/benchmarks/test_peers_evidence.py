"""Broadcasts of peers, as the checker judges them: by what was promised and what the sandbox took."""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from benchmarks.peers import contents
from benchmarks.peers.evidence import Evidence, judgement
from benchmarks.peers.people import rows
from benchmarks.peers.site import CHECKOUT, Site, name_of
from benchmarks.peers.workers import work
from channels.templates import PARTS, Templates
from proof.checker.contents import hash_of_places
from proof.checker.invariants.equations import LEFT_IN_DOUBT, SENT_AGAIN, UNSENT
from proof.checker.verdict import Tally, Verdict, Violation
from sandbox.ledger import LedgerWriter, Line
from sandbox.process import SandboxProcess
from sandbox.providers.sendgrid_mail import body_hashes, decode_mail

PEOPLE = [work.decode_recipient(row) for _, row in rows(8)]


class PaperSite(Site):
    """Sends to whom it is told to, by what a peer in Python would hand to the provider."""

    pids: Sequence[int] = ()

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, SandboxProcess(folder / "sandbox"))
        self.ledger = LedgerWriter(self.sandbox.ledger_dir, 1)
        self.recipients = PEOPLE

    def start(self) -> None: ...
    def kill(self) -> None: ...
    async def ready(self) -> None: ...

    async def request(self, number: int) -> float:
        began = time.monotonic()
        for language, some in work.by_language(self.recipients).items():
            self.take(work.mail(name_of(number), language, some))
        return began

    def take(self, body: bytes) -> None:
        mail = decode_mail(body)
        told = [msgspec.json.decode(each.custom_args) for each in mail.personalizations]
        self.ledger.append(
            Line(
                self.ledger.next_sequence(), time.time_ns() // 1_000_000, "sendgrid", 202, "m", 0, 0,
                [each["delivery_id"] for each in told], [each["notification_id"] for each in told],
                [each.to[0].email for each in mail.personalizations], body_hashes(mail),
            )
        )  # fmt: skip

    async def told(self) -> int:
        return 0

    async def is_idle(self) -> bool:
        return True


@pytest.fixture
def site(tmp_path: Path) -> PaperSite:
    return PaperSite(tmp_path)


async def test_a_broadcast_that_everybody_got_once_is_clean(site: PaperSite) -> None:
    evidence = Evidence(site, len(PEOPLE))
    await evidence.ask()
    await evidence.ask()

    assert (await evidence.judge()).is_clean


async def test_who_got_it_never_and_who_got_it_again_after_a_kill_are_told(site: PaperSite) -> None:
    evidence = Evidence(site, len(PEOPLE))
    site.recipients = PEOPLE[2:]
    evidence.note_kill()
    await evidence.ask()
    site.take(work.mail(name_of(0), "en", PEOPLE[6:7]))

    verdict = await evidence.judge()

    assert (verdict.lost, verdict.duplicated) == (2, 1)
    assert verdict.broken == {"L1": 2, "L3": 1}
    assert not verdict.is_clean


@pytest.mark.parametrize(
    ("name", "language", "who"),
    [
        (name_of(1), "en", PEOPLE[0]),  # a broadcast that nobody asked for
        (name_of(0), "de", PEOPLE[0]),  # in a language that they do not read
        (name_of(0), "en", msgspec.structs.replace(PEOPLE[0], email="eve@example.com")),
    ],
)
async def test_a_mail_that_nobody_was_promised_is_a_phantom(
    site: PaperSite, name: str, language: str, who: work.Recipient
) -> None:
    evidence = Evidence(site, len(PEOPLE))
    site.recipients = PEOPLE[1:]
    await evidence.ask()
    site.take(work.mail(name, language, [who]))

    verdict = await evidence.judge()

    assert "L2" in verdict.broken


def test_what_is_left_in_doubt_is_neither_lost_nor_clean() -> None:
    tally = Tally()
    tally.counts.update({SENT_AGAIN: 0, LEFT_IN_DOUBT: 3, UNSENT: 2})

    verdict = judgement(Verdict([], tally))

    assert (verdict.lost, verdict.doubts, verdict.held) == (0, 3, 2)
    assert not verdict.is_clean
    assert judgement(Verdict([Violation("L1", "one is lost")])).lost == 1


@pytest.mark.parametrize("locale", ["en", "de", "fr", "pt-BR"])
def test_what_mails_of_postrider_say_is_what_its_templates_say(locale: str) -> None:
    message = Templates(CHECKOUT / "templates").find("promotion", locale, "email")
    assert message is not None
    data = {
        "headline": "Sale", "offer": "20 percent off everything", "link": "https://example.com/sale",
    }  # fmt: skip

    rendered = [
        message.parts[part].render(data=data, recipient={"locale": locale})
        for part in PARTS["email"].all
    ]

    assert contents.of_postrider()[locale] == hash_of_places(rendered)
