"""What a request costs each sender: `python -m benchmarks.senders [requests]`.

The sandbox runs in a process of its own; counted is the CPU time of this one, so the figure is
what one core could send if the provider and the network were free.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import uvloop

from channels.base import Content, EmailContent, Outgoing, PushContent, Sender, SmsContent
from channels.email.sendgrid import SendGrid, SendGridSettings
from channels.push.fcm import Fcm, FcmSettings
from channels.sms.twilio import Twilio, TwilioSettings
from policies.clock import SystemClock
from sandbox.process import SandboxProcess
from schemas.outcome import Accepted

IN_FLIGHT = 64
CLOCK = SystemClock()


def outgoing(number: int, address: str, content: Content) -> Outgoing:
    return Outgoing(
        number.to_bytes(16, "big"),
        number.to_bytes(16, "big"),
        f"user-{number}",
        address,
        content,
        CLOCK.now_ms() + 600_000,
        sender="+15550100000",
    )


async def measure(name: str, sender: Sender, batches: list[list[Outgoing]]) -> None:
    await sender.start()
    await sender.send(batches[0])
    rest = iter(batches[1:])

    async def work() -> None:
        for batch in rest:
            for outcome in await sender.send(batch):
                if not isinstance(outcome, Accepted):
                    raise SystemExit(f"{name}: {outcome}")

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    cpu, elapsed = time.process_time() - cpu, time.perf_counter() - began
    await sender.close()
    requests, recipients = len(batches) - 1, sum(map(len, batches[1:]))
    print(
        f"{name:22} {requests / cpu:8,.0f} requests and {recipients / cpu:9,.0f} recipients"
        f" a CPU-second ({1e6 * cpu / recipients:5.1f} µs a recipient), {requests / elapsed:7,.0f}/s"
    )


async def main(requests: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with SandboxProcess(Path(folder)) as sandbox:
            told = sandbox.announcement
            await run(told, requests)


async def run(told: dict[str, dict[str, str]], requests: int) -> None:
    mail, push, text = EmailContent("Hello", "x" * 500), PushContent("Hello", "x"), SmsContent("x")
    sendgrid = SendGridSettings(
        base_url=told["sendgrid"]["base_url"],
        api_key=told["sendgrid"]["api_key"],
        from_email="shop@example.com",
    )
    account = msgspec.json.encode(told["fcm"]["service_account"]).decode()
    fcm = FcmSettings(base_url=told["fcm"]["base_url"], service_account=account)
    twilio = TwilioSettings(
        base_url=told["twilio"]["base_url"],
        account_sid=told["twilio"]["account_sid"],
        auth_token=told["twilio"]["auth_token"],
        status_callback="https://example.com/reports",
    )
    singles = range(requests)
    mails = [[outgoing(n, f"u{n}@example.com", mail)] for n in singles]
    slices = [
        [outgoing(n, f"u{n}@example.com", mail) for n in range(1000)]
        for _ in range(max(requests // 100, 2))
    ]
    await measure("sendgrid, 1 each", SendGrid(sendgrid, clock=CLOCK), mails)
    await measure("sendgrid, 1000 each", SendGrid(sendgrid, clock=CLOCK), slices)
    await measure(
        "twilio",
        Twilio(twilio, clock=CLOCK),
        [[outgoing(n, f"+4915550{n:05}", text)] for n in singles],
    )
    await measure(
        "fcm", Fcm(fcm, clock=CLOCK), [[outgoing(n, f"token-{n:06}", push)] for n in singles]
    )


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000))
