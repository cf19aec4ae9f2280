"""What rounds came to, as a table and as `docs/proof.md`."""

import os
import platform
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from proof.checker.verdict import INVARIANTS
from proof.faults.catalogue import FAULTS
from proof.mutants.catalogue import MUTANTS
from proof.mutants.trial import Trial
from proof.results import Result

FIGURES = (
    "fault", "rounds", "promises", "accepted", "blows", "in_flight", "open_calls", "lost_outcomes",
    "rest_seconds", "broken",
)  # fmt: skip
TRIALS = ("mutant", "scene", "expected", "complained", "first_words", "verdict")
_HEADINGS = {
    "in_flight": "in flight at a blow",
    "open_calls": "calls open at a blow",
    "lost_outcomes": "in doubt after a blow",
    "rest_seconds": "longest rest, s",
}
_INTRODUCTION = """\
# Proof

`make prove` strikes an installation of real workers, with a real Kafka and sandboxes of the
providers, while there is load; a checker that shares no decision with the pipeline compares what
producers were promised, what the providers took, and the receipts. This page is written by it.
"""
_READING = """\
*In flight*: requests that nobody had answered, and deliveries under way, when the blow came;
*calls open*: those of the victim to its provider, as it last said. Each as median and most.
*In doubt after a blow*: outcomes that it lost, in all and the most after one; each is told by a
receipt. *Broken*: violations of an invariant.
"""

_MUTANTS = """\
`postrider prove --mutants`: workers that break one promise each, in a short scene that is clean
without them. Who must complain is said beforehand.
"""
_FOUND = """\
What rounds found in the product, each mended at its root and kept as a test:

- A decision made behind a backlog told senders that it knew everything up to then, so that an
  opt-out which still waited to be read was taken for weighed
  (`tests/simulation/test_real_cases.py`).
- A fallback that was begun was remembered until the notification expired only: another channel's
  failure, read after that, gave the fallback a second end (`tests/unit/agents/test_reconsider.py`).
- An address that only the request had named was not known to the fallback: a code that failed by SMS
  went on to nobody (`tests/unit/agents/test_reconsider.py`).
- An address that was changed by a record in a wrong partition, where the record waited: the delivery
  was decided in the right one, and senders took the change for weighed
  (`tests/unit/streams/test_stop_feed.py`, decision 9).

Rounds that showed these, or that the checker or the harness was wrong itself, were played again once
that was mended: the table holds those.
"""
_NOT_COVERED = """\
- One machine, one broker, one copy of each record: no network that is cut in two, no second broker
  that lags behind.
- Clocks are the machine's own. Elsewhere, with clocks of their own: jumps, in stories of
  `tests/simulation`; workers that were down for 30 hours, in `tests/simulation/test_real_cases.py`,
  both judged by the same checker; quiet hours and local days around every change of clocks of every
  zone in two years, against Python's own arithmetic, in `tests/unit/policies/test_zones.py`.
- Each moment of each named yield, one after the other: `EVERY_POINT=1` with
  `tests/acceptance/test_named_yields.py`; here moments come by chance.
- Retention that overtakes a slow consumer, and changelogs that were cut: what is lost is lost, and
  `tests/acceptance/test_bad_disks.py` and `tests/integration/command_line/test_reconcile.py` see to
  it that it is said.
- Callbacks of providers: nothing reads them yet.
- Memory pressure, too few file descriptors, name servers that fail.
"""


def figures_of(results: Iterable[Result]) -> list[dict[str, Any]]:
    """A row a fault, in the order of the catalogue."""
    found = list(results)
    played = {name: [each for each in found if each.fault == name] for name in FAULTS}
    return [_figures(name, rounds) for name, rounds in played.items() if rounds]


def trials_of(trials: Iterable[Trial]) -> list[dict[str, Any]]:
    """A row a mutant, and one for each scene without."""
    return [
        {
            "mutant": each.mutant or "none",
            "scene": each.scene,
            "expected": _expected(each),
            "complained": ", ".join(f"{n} {name}" for name, n in sorted(each.caught_by.items())),
            "first_words": each.words,
            "verdict": "as it must be" if each.is_as_it_must_be else "NOT AS IT MUST BE",
        }
        for each in trials
        if not each.mutant or each.mutant in MUTANTS
    ]


def report(results: Sequence[Result], trials: Sequence[Trial]) -> str:
    lines = [_INTRODUCTION, _circumstances(results), ""]
    lines += _table(figures_of(results), FIGURES)
    lines += [
        "",
        _READING,
        _kills(results),
        *_unplayed(results),
        *_notes(results),
        "",
        "## What is done",
        "",
    ]
    lines += _table(
        [
            {"fault": name, "does": each.does, "expects": each.expects}
            for name, each in FAULTS.items()
        ],
        ("fault", "does", "expects"),
    )
    lines += ["", "## The checker can fail", "", _MUTANTS]
    lines += _table(trials_of(trials), TRIALS)
    lines += ["", "## What was found", "", _FOUND]
    lines += ["## What must hold after each round", ""]
    lines += [f"- **{name}** {words}" for name, words in INVARIANTS.items()]
    lines += ["", "## Not covered", "", _NOT_COVERED]
    return "\n".join(lines)


def _expected(trial: Trial) -> str:
    if not trial.mutant:
        return "nothing"
    return " or ".join(sorted(MUTANTS[trial.mutant].caught_by))


def _figures(name: str, rounds: Sequence[Result]) -> dict[str, Any]:
    struck = [each for result in rounds for each in result.struck]
    doubts = [each.doubts for each in struck]
    return {
        "fault": name,
        "rounds": len(rounds),
        "promises": sum(each.intents for each in rounds),
        "accepted": sum(each.accepts for each in rounds),
        "blows": len(struck),
        "in_flight": _middle_and_most([each.blow.in_flight for each in struck]),
        "open_calls": _middle_and_most([each.blow.open_calls for each in struck]),
        "lost_outcomes": f"{sum(doubts)}, {max(doubts)}" if doubts else "",
        "rest_seconds": max(each.rest_seconds for each in rounds),
        "broken": sum(len(each.violations) for each in rounds),
    }


def _middle_and_most(numbers: Sequence[int]) -> str:
    return f"{median(numbers):.0f}, {max(numbers)}" if numbers else ""


def _circumstances(results: Sequence[Result]) -> str:
    days = sorted({each.at[:10] for each in results})
    commits = sorted({each.commit for each in results})
    minutes = sum(each.seconds for each in results) / 60
    return (
        f"Played {' to '.join(dict.fromkeys((days[0], days[-1])))} in {minutes:.0f} minutes of "
        f"rounds, on {os.cpu_count()} shared cores ({platform.machine()}, Linux "
        f"{platform.release().split('-')[0]}, Python {platform.python_version()}), "
        f"commit {', '.join(commits)} (`+`: with changes)."
    )


def _kills(results: Sequence[Result]) -> str:
    kills = sum(each.kills() for each in results)
    clean = sum(each.kills() for each in results if each.is_clean)
    rate = f"; at 95 %, fewer than {100 * 3 / kills:.2g} % of kills break one" if clean else ""
    return f"Processes killed with -9: {kills}, of these in clean rounds: {clean}{rate}."


def _notes(results: Sequence[Result]) -> list[str]:
    told = [f"- {each.fault}, seed {each.seed}: {each.note}" for each in results if each.note]
    return ["", "Noted:", "", *told] if told else []


def _unplayed(results: Sequence[Result]) -> list[str]:
    left = [name for name in FAULTS if all(each.fault != name for each in results)]
    return ["", f"Not played in this run: {', '.join(left)}."] if left else []


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> list[str]:
    headings = [_HEADINGS.get(each, each.replace("_", " ")) for each in columns]
    lines = [headings, ["---"] * len(columns)]
    lines += [[_text(row[column]) for column in columns] for row in rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
