"""CPU the sandbox costs a request: `python -m benchmarks.provider_sandbox [seconds]`.

The sandbox shares a core with the broker in every other benchmark, so what it costs has to
be known. CPU of the server process only, from its own accounting; the clients are raw
sockets. The bare handlers answer the same request without judging it or writing it down:
that is the cost of HTTP alone, ours and aiohttp's.
"""

import asyncio
import json
import resource
import sys
import tempfile
import urllib.parse
import uuid
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import jwt
import uvloop
from aiohttp import web

from sandbox.clock import system_clock
from sandbox.command import tune_garbage_collection
from sandbox.http import Connection, Reply, Request
from sandbox.providers.google_oauth import SCOPES
from sandbox.server import Sandbox

CONNECTIONS = 32


def http(path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: sandbox", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def mail(sandbox: Sandbox, recipients: int) -> bytes:
    personalizations = [
        {
            "to": [{"email": f"user{i:06d}@example.com"}],
            "custom_args": {"delivery_id": str(uuid.uuid4()), "notification_id": str(uuid.uuid4())},
        }
        for i in range(recipients)
    ]
    body = {
        "personalizations": personalizations,
        "from": {"email": "news@example.com"},
        "subject": "News",
        "content": [{"type": "text/html", "value": "<p>Hello</p>" * 200}],
    }
    headers = {
        "Authorization": f"Bearer {sandbox.credentials.sendgrid_api_key}",
        "Content-Type": "application/json",
    }
    return http("/v3/mail/send", headers, json.dumps(body, separators=(",", ":")).encode())


def sms(sandbox: Sandbox) -> bytes:
    fields = {
        "To": "+14155550100",
        "From": "+14155550199",
        "Body": "Your code is 123456",
        "StatusCallback": f"https://example.com/twilio?delivery_id={uuid.uuid4()}&attempt=1",
    }
    account = sandbox.credentials.twilio_account_sid
    headers = {
        "Authorization": sandbox.twilio.authorization,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    path = f"/2010-04-01/Accounts/{account}/Messages.json"
    return http(path, headers, urllib.parse.urlencode(fields).encode())


def push(sandbox: Sandbox, access_token: str) -> bytes:
    message = {
        "token": "f" * 152,
        "notification": {"title": "Order shipped", "body": "It arrives on Tuesday"},
        "data": {"delivery_id": str(uuid.uuid4()), "notification_id": str(uuid.uuid4())},
        "android": {"ttl": "3600s", "priority": "HIGH"},
    }
    headers = {"Authorization": f"Bearer {access_token}", "Content-Type": "application/json"}
    body = json.dumps({"message": message}).encode()
    return http(f"/v1/projects/{sandbox.fcm.project_id}/messages:send", headers, body)


async def read_reply(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    return head + await reader.readexactly(length)


async def load(port: int, request: bytes, seconds: float) -> int:
    """How many requests were answered with a 2xx; any other answer is an error here."""
    end = asyncio.get_running_loop().time() + seconds

    async def client() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while asyncio.get_running_loop().time() < end:
            writer.write(request)
            reply = await read_reply(reader)
            if reply[9:10] != b"2":
                raise RuntimeError(reply[:400].decode(errors="replace"))
            count += 1
        writer.close()
        return count

    return sum(await asyncio.gather(*(client() for _ in range(CONNECTIONS))))


async def access_token(sandbox: Sandbox) -> str:
    account = sandbox.service_account()
    now = int(system_clock())
    claims = {
        "iss": account["client_email"],
        "aud": account["token_uri"],
        "iat": now,
        "exp": now + 3600,
        "scope": min(SCOPES),
    }
    fields = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": jwt.encode(claims, account["private_key"], "RS256"),
    }
    url = urllib.parse.urlsplit(account["token_uri"])
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(http("/token", {}, urllib.parse.urlencode(fields).encode()))
    reply = await read_reply(reader)
    writer.close()
    token: str = json.loads(reply.partition(b"\r\n\r\n")[2])["access_token"]
    return token


async def bare_ours() -> int:
    def handle(request: Request, connection: Connection) -> None:
        connection.send(Reply(200, b'{"name": "projects/p/messages/1"}'))

    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(handle, set()), "127.0.0.1", 0
    )
    port: int = server.sockets[0].getsockname()[1]
    return port


async def bare_aiohttp() -> tuple[web.AppRunner, int]:
    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"name": "projects/p/messages/1"})

    app = web.Application(client_max_size=1 << 26)
    app.add_routes([web.post("/{path:.*}", handle)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, runner.addresses[0][1]


def serve(pipe: Pipe, directory: str) -> None:
    """The server process: says its cases, then its CPU seconds whenever it is asked."""

    async def run() -> None:
        tune_garbage_collection()
        async with Sandbox(Path(directory)) as sandbox:
            sandbox.sendgrid.requests_per_second = 1_000_000
            runner, aiohttp_port = await bare_aiohttp()
            ports = {
                name: urllib.parse.urlsplit(sandbox.url(name)).port
                for name in ("sendgrid", "twilio", "fcm")
            }
            one_push = push(sandbox, await access_token(sandbox))
            pipe.send(
                [
                    ("bare, ours", await bare_ours(), one_push, 1),
                    ("bare, aiohttp", aiohttp_port, one_push, 1),
                    ("push", ports["fcm"], one_push, 1),
                    ("sms", ports["twilio"], sms(sandbox), 1),
                    ("mail to 1", ports["sendgrid"], mail(sandbox, 1), 1),
                    ("mail to 1000", ports["sendgrid"], mail(sandbox, 1000), 1000),
                ]
            )
            loop = asyncio.get_running_loop()
            while await loop.run_in_executor(None, pipe.recv):
                usage = resource.getrusage(resource.RUSAGE_SELF)
                pipe.send(usage.ru_utime + usage.ru_stime)
            await runner.cleanup()

    uvloop.run(run())


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as directory:
        server = context.Process(target=serve, args=(theirs, directory))
        server.start()
        for name, port, request, messages in ours.recv():
            ours.send(True)
            before = ours.recv()
            count = uvloop.run(load(port, request, seconds))
            ours.send(True)
            cpu = ours.recv() - before
            print(
                f"{name:20} {len(request):7} B {cpu / count * 1e6:7.0f} µs CPU a request "
                f"{count / cpu:8.0f} requests/s/core {count * messages / cpu:10.0f} messages/s/core"
            )
        ours.send(False)
        server.join()


if __name__ == "__main__":
    main()
