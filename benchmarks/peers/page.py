"""The table of peers in README.md, and what each of them leaves out."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.campaign import BROKEN, DONE, KILLS, METERED, STRUCK
from benchmarks.peers.catalogue import PEERS
from benchmarks.whole.page import measured_on, number, pace, put
from benchmarks.whole.results import Result, Summary
from benchmarks.whole.scenario import Figure

_COLUMNS = (*METERED, *STRUCK, DONE)
_MORE = ("kills made, in all", "promises broken, in all", "a fixed loop before, ms")
_ENDS = {each.name for each in STRUCK[:2]}
"""What became of people at a kill: whoever leaves some in doubt is no match for who sends to all."""
_COMPARED = {each.name for each in METERED} | _ENDS | {DONE.name}


def update(file: Path, results: Sequence[Result]) -> None:
    order = list(PEERS)
    known = sorted(
        (each for each in results if each.scenario in PEERS),
        key=lambda each: order.index(each.scenario),
    )
    put(file, table(known))


def table(results: Sequence[Result]) -> str:
    """The best of a column is bold, whoever has it, where its rows can be compared."""
    best = {each.name: _best(each, results) for each in _COLUMNS if each.name in _COMPARED}
    lines = [_row(["", *(f"{each.measures}, {each.unit}" for each in _COLUMNS), *_MORE])]
    lines.append("|---" * (len(_COLUMNS) + len(_MORE) + 1) + "|")
    for result in results:
        cells = [
            _cell(
                result.figures.get(each.name),
                best.get(each.name) if _is_match(each, result) else None,
            )
            for each in _COLUMNS
        ]
        cells += [_kills(result), _broken(result), pace(result) if result.loop_ms else ""]
        lines.append(_row([result.measures + " ‡" * result.is_harness_bound, *cells]))
    lines += ["", "What Postrider does of this work and the others do not:", ""]
    lines += [
        f"- **{peer.title}**: {peer.lacks}."
        for peer in PEERS.values()
        if peer.lacks and any(each.scenario == peer.name for each in results)
    ]
    return "\n".join([*lines, "", *measured_on(results), ""])


def _best(figure: Figure, results: Sequence[Result]) -> float | None:
    matches = [each for each in results if figure.name in each.figures and _is_match(figure, each)]
    if figure.name not in _ENDS and not _are_of_one_session(matches):
        return None
    pick = max if figure.better == "higher" else min
    return pick((each.figures[figure.name].median for each in matches), default=None)


def _are_of_one_session(results: Sequence[Result]) -> bool:
    """Seconds of another machine, interpreter or hour are others; people are people everywhere."""
    return all(
        (each.commit, each.machine) == (results[0].commit, results[0].machine) for each in results
    )


def _is_match(figure: Figure, result: Result) -> bool:
    """Whether it may be the best of the column."""
    unsure = (result.figures.get(each.name) for each in STRUCK[2:])
    return figure.name not in _ENDS or not any(each.high for each in unsure if each)


def _kills(result: Result) -> str:
    return _sum(result.figures[KILLS.name]) if KILLS.name in result.figures else ""


def _broken(result: Result) -> str:
    """By invariant, in all broadcasts with kills."""
    if KILLS.name not in result.figures:
        return ""
    counts = {name: result.figures.get(figure.name) for name, figure in BROKEN.items()}
    return ", ".join(f"{name} {_sum(each)}" for name, each in counts.items() if each) or "none"


def _sum(summary: Summary) -> str:
    return f"{round(sum(summary.values)):,}"


def _cell(summary: Summary | None, best: float | None) -> str:
    if summary is None:
        return ""
    text = number(summary.median)
    if summary.low != summary.high:
        text += f" ({number(summary.low)}–{number(summary.high)})"
    return f"**{text}**" if summary.median == best else text


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
