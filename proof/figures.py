"""Rows of tables: what results and trials come to."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from statistics import median
from typing import Any, TypeVar

from proof.checker.instants import text_of
from proof.faults.catalogue import FAULTS
from proof.mutants.catalogue import MUTANTS
from proof.mutants.trial import Trial
from proof.results import Result, Struck

FIGURES = (
    "fault", "rounds", "promises", "accepted", "blows", "in_flight", "open_calls", "lost_outcomes",
    "in_doubt", "rest_seconds", "broken", "played",
)  # fmt: skip
TRIALS = ("mutant", "scene", "expected", "complained", "first_words", "verdict", "played")
CRASHES = ("in_doubt_after", "crashes", "in_flight", "open_calls")
WORST = ("fault", "seed", "role", "in_flight", "open_calls", "in_doubt_after")
KILLS = ("fault", "seed", "commit", "at", "role", "in_flight", "open_calls", "in_doubt_after")
RUNS = ("command", "played", "rounds", "minutes")

_BOUNDS = (0, 1, 3, 10, 30, 100)
"""Of in-doubt sets that are counted together."""
_WORDS = 100
"""A worker that does not come up says a lot."""
_WORST = 10
T = TypeVar("T", Result, Trial)


def latest_results(results: Iterable[Result]) -> list[Result]:
    """Rounds that were played again on another commit count no more; on the same one all do."""
    return _latest(results, lambda each: (each.fault, each.seed))


def latest_trials(trials: Iterable[Trial]) -> list[Trial]:
    """Likewise; what a mutant did in a scene that is its own no more tells nothing."""
    found = _latest(trials, lambda each: (each.scene, each.mutant))
    return [each for each in found if not each.mutant or _is_its_scene(each)]


def _is_its_scene(trial: Trial) -> bool:
    mutant = MUTANTS.get(trial.mutant)
    return mutant is not None and mutant.scene.name == trial.scene


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
            "first_words": each.words[:_WORDS],
            "verdict": "as it must be" if each.is_as_it_must_be else "NOT AS IT MUST BE",
            "played": _played(each),
        }
        for each in trials
    ]


def crashes_of(results: Iterable[Result]) -> list[dict[str, Any]]:
    """How many kills left how much in doubt, and what had been under way at these."""
    struck = [each for result in results for each in result.kills()]
    rows = []
    for least, above in zip(_BOUNDS, (*_BOUNDS[1:], None), strict=True):
        here = [
            each
            for each in struck
            if each.doubts >= least and (above is None or each.doubts < above)
        ]
        last = f"{least} and more" if above is None else f"{least} to {above - 1}"
        rows.append(
            {
                "in_doubt_after": f"{least}" if above == least + 1 else last,
                "crashes": len(here),
                "in_flight": _in_flight(here),
                "open_calls": _open_calls(here),
            }
        )
    return rows


def kills_of(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Each of them."""
    return [
        {
            "fault": result.fault,
            "seed": result.seed,
            "commit": result.commit,
            "at": text_of(each.blow.at_ms),
            "role": each.blow.role,
            "in_flight": each.blow.in_flight,
            "open_calls": "" if each.blow.open_calls is None else each.blow.open_calls,
            "in_doubt_after": each.doubts,
        }
        for result in results
        for each in result.kills()
    ]


def worst_of(results: Iterable[Result]) -> list[dict[str, Any]]:
    """The kills that left most in doubt."""
    told = [each for each in kills_of(results) if each["in_doubt_after"]]
    return sorted(told, key=lambda each: -each["in_doubt_after"])[:_WORST]


def runs_of(results: Iterable[Result | Trial]) -> list[dict[str, Any]]:
    """What was typed, when and on which commit, and how many rounds it came to."""
    runs: dict[tuple[str, str], list[Result | Trial]] = {}
    for each in results:
        runs.setdefault((each.command, _played(each)), []).append(each)
    return [
        {
            "command": f"`{command}`" if command else "not kept",
            "played": played,
            "rounds": len(rounds),
            "minutes": round(sum(each.seconds for each in rounds) / 60),
        }
        for (command, played), rounds in runs.items()
    ]


def _latest(records: Iterable[T], key: Callable[[T], Hashable]) -> list[T]:
    found = list(records)
    commits = {key(each): each.commit for each in found}
    return [each for each in found if each.commit == commits[key(each)]]


def _expected(trial: Trial) -> str:
    if not trial.mutant:
        return "nothing"
    return " or ".join(sorted(MUTANTS[trial.mutant].caught_by))


def _figures(name: str, rounds: Sequence[Result]) -> dict[str, Any]:
    struck = [each for result in rounds for each in result.struck]
    doubts = [each.doubts for each in struck]
    count, wanted = len(rounds), FAULTS[name].rounds
    return {
        "fault": name,
        "rounds": f"{count} of {wanted}" if count < wanted else count,
        "promises": sum(each.intents for each in rounds),
        "accepted": sum(each.accepts for each in rounds),
        "blows": len(struck),
        "in_flight": _in_flight(struck),
        "open_calls": _open_calls(struck),
        "lost_outcomes": f"{sum(doubts)}, {max(doubts)}" if doubts else "",
        "in_doubt": _by_reason(rounds),
        "rest_seconds": max(each.rest_seconds for each in rounds),
        "broken": sum(len(each.violations) for each in rounds),
        "played": ", ".join(dict.fromkeys(map(_played, rounds))),
    }


def _by_reason(rounds: Sequence[Result]) -> str:
    reasons = Counter[str]()
    for each in rounds:
        for told, count in each.doubts.items():
            reasons[told.split(" ", 1)[1]] += count
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "0"


def _in_flight(struck: Sequence[Struck]) -> str:
    return _middle_and_most([each.blow.in_flight for each in struck])


def _open_calls(struck: Sequence[Struck]) -> str:
    """Of those whose victim could be asked."""
    counts = (each.blow.open_calls for each in struck)
    return _middle_and_most([count for count in counts if count is not None])


def _middle_and_most(numbers: Sequence[int]) -> str:
    return f"{median(numbers):.0f}, {max(numbers)}" if numbers else ""


def _played(each: Result | Trial) -> str:
    return f"{each.commit} on {each.at[:10]}" if each.commit else "not kept"
