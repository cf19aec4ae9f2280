"""`python -m benchmarks.peers`: see README.md beside this file."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.peers import page
from benchmarks.peers.campaign import Campaign
from benchmarks.peers.catalogue import PEERS
from benchmarks.whole.machine import command
from benchmarks.whole.page import pace, told
from benchmarks.whole.results import Result, read_results

_FOLDER = Path(__file__).parent
_QUICK_PEOPLE, _PEOPLE, _MILLION = 8_000, 200_000, 1_000_000


def main(
    peers: Annotated[list[str] | None, typer.Argument(help="All when none is named.")] = None,
    people: Annotated[int, typer.Option(min=1000)] = _PEOPLE,
    is_million: Annotated[bool, typer.Option("--million", help="A million people.")] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Metered runs of each.")] = 3,
    kills: Annotated[int, typer.Option(min=0, help="kill -9 in a broadcast.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Broadcasts with kills.")] = 2,
    is_quick: Annotated[
        bool, typer.Option("--quick", help="Few people: whether it works, nothing is written here.")
    ] = False,
    data: Annotated[
        Path, typer.Option(help="Where peers are installed; people known to Postrider are kept.")
    ] = _FOLDER.parent / ".state",
    is_list: Annotated[bool, typer.Option("--list", help="Show who takes part.")] = False,
) -> None:
    """The same broadcast, the same provider, the same count, through Postrider and its peers."""
    for noisy in ("aiokafka", "jgo"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    if is_list:
        for peer in PEERS.values():
            print(f"{peer.name:15} {peer.title}")
        return
    for name in peers or ():
        if name not in PEERS:
            raise typer.BadParameter(f"there is no {name}; --list shows all")
    folder = data / "quick-peers" if is_quick else _FOLDER
    campaign = Campaign(
        people=_QUICK_PEOPLE if is_quick else _MILLION if is_million else people,
        repeats=1 if is_quick else repeats, kills=kills, rounds=1 if is_quick else rounds,
        data=data.resolve(), results=folder / "results",
        command=command("benchmarks.peers", sys.argv[1:]),
    )  # fmt: skip
    failed = [name for name in peers or PEERS if not _measured(campaign, name)]
    if not is_quick:
        page.update(folder / "README.md", read_results(folder / "results"))
    if failed:
        sys.exit(f"without a result: {', '.join(failed)}")


def _measured(campaign: Campaign, name: str) -> bool:
    """Whether it could be: the others can all the same."""
    if missing := PEERS[name].missing():
        print(f"{name}: {missing}", flush=True)
        return False
    try:
        _tell(campaign.measure(PEERS[name]))
    except (RuntimeError, TimeoutError) as error:
        print(f"{name} FAILED: {error}", flush=True)
        return False
    return True


def _tell(result: Result) -> None:
    mark = ", harness-bound" if result.is_harness_bound else ""
    print(f"{result.scenario} ({result.people:,} people{mark})")
    for each in result.figures.values():
        print(f"  {told(each)}  {each.measures}", flush=True)
    print(f"  {pace(result)} ms  a fixed loop before", flush=True)


if __name__ == "__main__":
    typer.run(main)
