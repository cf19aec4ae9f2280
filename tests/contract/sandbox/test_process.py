"""The sandbox as a process of its own."""

import asyncio
import os
import socket
import stat
import sys
from pathlib import Path

import aiohttp
import pytest

from sandbox.ledger import read_ledger
from sandbox.process import SandboxProcess


async def send_sms(announcement: dict[str, dict[str, str]]) -> int:
    account = announcement["twilio"]
    login = aiohttp.encode_basic_auth(account["account_sid"], account["auth_token"])
    path = f"/2010-04-01/Accounts/{account['account_sid']}/Messages.json"
    form = {"To": "+14155550100", "From": "+14155550199", "Body": "Hello"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            account["base_url"] + path, data=form, headers={"Authorization": login}
        ) as response,
    ):
        return response.status


async def test_a_process_serves_with_the_script_and_keeps_its_ledger_over_restarts(
    tmp_path: Path,
) -> None:
    script = tmp_path / "faults.yaml"
    script.write_text("[{provider: twilio, effect: answer, code: '20429', first: 1}]")

    async with SandboxProcess(tmp_path, script=script) as process:
        first = [await send_sms(process.announcement) for _ in range(2)]
        mode = stat.S_IMODE((tmp_path / "sandbox.json").stat().st_mode)
    is_announced = (tmp_path / "sandbox.json").exists()
    async with SandboxProcess(tmp_path) as process:
        second = [await send_sms(process.announcement)]

    assert mode == 0o600  # it holds secrets
    assert not is_announced, "what has ended is still announced"
    assert (first, second) == ([429, 201], [201])
    assert len(list(read_ledger(tmp_path / "ledger"))) == 2


async def test_a_taken_port_is_said_and_nothing_is_left_running(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = SandboxProcess(tmp_path, ports={"twilio": taken.getsockname()[1]})

        with pytest.raises(RuntimeError, match="address already in use"):
            await process.start()


async def test_a_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    program = (
        "import asyncio, os, pathlib, sys\n"
        "from sandbox.process import SandboxProcess\n"
        "async def main():\n"
        "    process = SandboxProcess(pathlib.Path(sys.argv[1]))\n"
        "    print((await process.start())['page'], flush=True)\n"
        "    os._exit(9)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    output, _ = await parent.communicate()
    port = int(output.decode().strip().rpartition(":")[2])

    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                break
            writer.close()
            await asyncio.sleep(0.02)

    assert parent.returncode == 9
