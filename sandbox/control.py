"""A client of a running sandbox's control API: faults and ports."""

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from sandbox.faults import FaultRule


class SandboxControl:
    """`announcement` is what the sandbox announced at its start."""

    def __init__(self, announcement: Mapping[str, Any]) -> None:
        self._url = f"{announcement['page']}/_sandbox"

    async def put_in_force(self, *rules: FaultRule, seed: int = 0) -> Sequence[int]:
        """Put faults in force from now on; returns their ids."""
        answer = await self._ask("POST", "faults", {"seed": seed, "faults": list(rules)})
        ids: Sequence[int] = answer["ids"]
        return ids

    async def lift(self, *ids: int) -> None:
        """End these faults, or all there are."""
        for path in [f"faults/{each}" for each in ids] or ["faults"]:
            await self._ask("DELETE", path)

    async def hits(self, *ids: int) -> int:
        """How often these faults have befallen a call so far."""
        found = (await self._ask("GET", "faults"))["faults"]
        return sum(each["hits"] for each in found if each["id"] in ids)

    async def listen(self, provider: str, *, is_open: bool) -> None:
        """Close a provider's port (connections are reset, new ones refused) or open it again."""
        await self._ask("PUT", f"listeners/{provider}", {"open": is_open})

    async def _ask(self, method: str, path: str, said: object = None) -> Any:
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.request(
                method, f"{self._url}/{path}", data=msgspec.json.encode(said)
            ) as answer,
        ):
            return await answer.json()
