"""Workers of an earlier version beside those of this one, as while an installation is upgraded."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from proof.checker.verdict import Violation
from proof.faults.base import PROMISE, Fault, Field
from proof.load.plan import LoadPlan
from streams.topology import ROLES

BEFORE = "24746f3"
"""A commit that knows bodies of broadcasts by other rows; after a release, the one before."""
_SAYS_SO = f"this is {BEFORE}"
"""What the earlier version is made to log at each start: or nobody would know that it was it."""
_ROOT = Path(__file__).parents[2]
_PACKAGES = ("schemas", "policies", "tables", "channels", "agents", "streams", "sandbox")


class Upgrade(Fault):
    name = "upgrade"
    does = (
        f"every worker is of an earlier version ({BEFORE}); one role after the other, in any order, "
        "stops and starts as this one"
    )
    expects = "each reads what the others write; nothing in doubt"
    least_blows = 2 * len(ROLES)  # down to it, and up again

    def plan(self, seed: int, first: int) -> LoadPlan:
        # Without bad mailboxes: the earlier version asks for halves of a spoilt request too often.
        return LoadPlan(seed=seed, first=first, seconds=120.0, bad_mailboxes_among=0)

    def why_not(self) -> str:
        asked = ["git", "-C", str(_ROOT), "cat-file", "-e", f"{BEFORE}^{{commit}}"]
        has_it = subprocess.run(asked, capture_output=True, check=False).returncode == 0
        return "" if has_it else f"this copy of the history does not hold {BEFORE}"

    async def strike(self, field: Field) -> None:
        code = _unpacked(field.stage.folder / "before")
        roles = list(ROLES)
        for role in roles:
            field.workers.use_code(role, code)
            await _restart(field, role)
        field.random.shuffle(roles)
        for role in roles:
            is_under_load = await field.wait(4.0, 8.0)
            field.workers.use_code(role, None)
            await _restart(field, role, is_blow=is_under_load)

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        for slot in field.stage.slots:
            if _SAYS_SO not in field.log_of(slot):
                yield Violation(PROMISE, f"{slot} was never of the earlier version")


async def _restart(field: Field, role: str, *, is_blow: bool = True) -> None:
    for slot in field.stage.of(role):
        await field.until_busy(slot)
        if is_blow:
            await field.stage.note_blow(role, "stop", slot)
        await field.workers.stop(slot)
        field.workers.start(slot)
    await field.workers.until_ready(field.stage.of(role))


def _unpacked(folder: Path) -> Path:
    """The code of the earlier version."""
    if not folder.exists():
        folder.mkdir()
        archive = ["git", "-C", str(_ROOT), "archive", BEFORE, *_PACKAGES]
        packed = subprocess.run(archive, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
        with (folder / "streams" / "__init__.py").open("a") as code:
            code.write(f"\nprint({_SAYS_SO!r}, flush=True)\n")
    return folder
