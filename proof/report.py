"""What rounds came to, as a table and as `docs/proof.md`."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

from proof.checker.verdict import INVARIANTS
from proof.faults.base import PROMISE
from proof.faults.catalogue import FAULTS
from proof.figures import (
    CRASHES,
    FIGURES,
    KILLS,
    RUNS,
    TRIALS,
    WORST,
    crashes_of,
    figures_of,
    kills_of,
    latest_results,
    latest_trials,
    runs_of,
    trials_of,
    worst_of,
)
from proof.markdown import table
from proof.mutants.catalogue import MUTANTS
from proof.mutants.trial import Trial
from proof.results import Result

KILLS_FILE = "kills.csv"
"""Beside the page."""
_HEADINGS = {
    "in_flight": "in flight at a blow",
    "open_calls": "calls open at a blow",
    "lost_outcomes": "outcomes lost by a blow",
    "in_doubt": "in doubt in all, why",
    "in_doubt_after": "in doubt after it",
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
*Outcomes lost by a blow*: in all, and the most by one. *In doubt in all*: every receipt that says so,
with its reason; what no blow lost was lost by a provider. *Broken*: violations of an invariant.
Nothing is printed where nothing was measured: a broker and a provider have no calls open.
"""

_CRASHES = """\
Deliveries in doubt after a kill -9, beside the requests and deliveries that were in flight and the
calls that its victim had open when it came; of both the median and the most of these kills.
"""
_MUTANTS = """\
`postrider prove --mutants`: workers that break one promise each, in a short scene that is clean
without them. Who must complain is said beforehand, and of what, or that no worker breaks down. More
are planted in the simulation (`tests/simulation/test_planted_bugs.py`), such as a window for repeats
that is a millisecond too long or too short.
"""
_FOUND = """\
What rounds found in the product, each mended at its root and kept as a test:

- A decision made behind a backlog told senders that it knew everything up to then, so that an
  opt-out which still waited to be read was taken for weighed
  (`tests/simulation/test_real_opt_outs.py`).
- A fallback that was begun was remembered until the notification expired only: another channel's
  failure, read after that, gave the fallback a second end (`tests/unit/agents/test_reconsider.py`).
- An address that only the request had named was not known to the fallback: a code that failed by SMS
  went on to nobody (`tests/unit/agents/test_reconsider.py`).
- An address that was changed by a record in a wrong partition, where the record waited: the delivery
  was decided in the right one, and senders took the change for weighed
  (`tests/unit/streams/test_stop_feed.py`, decision 9).
- A worker that had just started might fetch requests before what had been said of people long before
  them, and decided by what the last one had known (`tests/unit/engine/test_head_start.py`, decision 20).
- What a machine has run out of was blamed on records: two text messages ended as failed, since the
  list of time zones could not be opened just then (`tests/unit/engine/test_running.py`, decision 24).
- One broker of three hung, and workers ended: one had asked it where its group's coordinator is, one
  took the coordinator's word that it does not know for final, one believed that a changelog ends
  where that broker's copy does (`tests/integration/streams/test_kafka_patches.py`,
  `tests/integration/streams/test_transactional_producer.py`,
  `tests/integration/streams/test_restore.py`, decision 29).

Rounds that showed these, or that the checker or the harness was wrong itself, were played again once
that was mended: the table holds those.
"""
_NOT_COVERED = """\
- One machine, and but for `one-of-three-killed`, `one-of-three-hung` and `three-restarted` one broker,
  with one copy of each record. No broker that some reach and others do not, be it a worker or another
  broker: `cut-off` keeps a worker from the only one.
- Clocks are the machine's own, but for those that `clock-set` puts wrong. Elsewhere, with clocks of
  their own: jumps of up to 8 seconds, of an hour and of a day, in stories of `tests/simulation`; workers
  that were down for 30 hours, in `tests/simulation/test_real_clocks.py`, both judged by the same
  checker; quiet hours and local days around every change of clocks of every zone in two years (zones
  that change alike stand for each other), against Python's own arithmetic, in
  `tests/unit/policies/test_zones.py`.
- Each moment of each named yield for certain: `EVERY_POINT=1` with
  `tests/acceptance/test_named_yields.py`. `kill-at-yields` tries one after the other, but the load of
  a round does not bring every life to its moment; how many it brought is noted above.
- A call by a worker that was suspended or cut off, begun when it had lost its partitions and not
  accepted twice: the ledger of the sandbox does not say which process called. A second acceptance is
  L3.
- A provider that takes a part of a batch: of those there are, only SendGrid has batches, and it takes
  or refuses a request as a whole. One bad mailbox among many is part of every load with news.
- Stores of millions of rows: rounds have 60 people, those of `kill-in-a-crowd` 12,000. Benchmarks
  kill workers with ten million rows (`make bench ARGS="--people 3000000 kill"`), and ask only when these
  send again.
- The end of a window for repeats, which is a day here: the scene `window` of the mutants has one of a
  minute, and stories of the simulation have one.
- A night in which clocks change: rounds are played at any hour, with quiet hours put around it.
- Partitions that become more under running workers: `tests/unit/streams/test_topics.py` sees to it that
  nobody starts with another number.
- A change of the time zone database while workers run.
- How many deliveries one crash may leave in doubt: `kill-in-a-crowd` alone is held to a bound of that.
  Elsewhere they are shown beside what was in flight.
- Faults of HTTP/2, which is off.
- Retention that overtakes a slow consumer, and changelogs that were cut: what is lost is lost, and
  `tests/acceptance/test_retention.py`, `tests/acceptance/test_bad_disks.py` and
  `tests/integration/command_line/test_reconcile.py` see to it that it is said.
- Callbacks of providers: nothing reads them yet.
"""


def report(results: Sequence[Result], trials: Sequence[Trial]) -> str:
    results, trials = latest_results(results), latest_trials(trials)
    lines = [
        _INTRODUCTION,
        f"On {_machines(results, trials)}; a commit with a `+` had changes.",
        "",
    ]
    lines += [*_table(runs_of([*results, *trials]), RUNS), ""]
    lines += _table(figures_of(results), FIGURES)
    lines += [
        "",
        _READING,
        f"{_kills(results)} Each is a line of [{KILLS_FILE}]({KILLS_FILE}).",
        *_unplayed(results),
        *_notes(results),
        "",
        "## What each kill left",
        "",
        _CRASHES,
        *_table(crashes_of(results), CRASHES),
        "",
        "The worst:",
        "",
        *_table(worst_of(results), WORST),
        "",
        "## What is done",
        "",
    ]
    lines += _table(
        [
            {
                "fault": name,
                "does": each.does,
                "expects": each.expects,
                "stops_within": f"{each.stop_ms / 1000:g} s",
            }
            for name, each in FAULTS.items()
        ],
        ("fault", "does", "expects", "stops_within"),
    )
    lines += ["", "## The checker can fail", "", _MUTANTS]
    lines += [*_table(trials_of(trials), TRIALS), *_untried(trials)]
    lines += ["", "## What was found", "", _FOUND]
    lines += ["## What must hold after each round", ""]
    lines += [f"- **{name}** {words}" for name, words in INVARIANTS.items()]
    lines += [f"- **{PROMISE}** the fault was there to be felt, and what it alone expects is so"]
    lines += ["", "## Not covered", "", _NOT_COVERED]
    return "\n".join(lines)


def kills_table(results: Sequence[Result]) -> str:
    """Each kill -9 of the latest rounds as CSV, with what was in flight and what it left in doubt."""
    told = io.StringIO()
    lines = csv.DictWriter(told, KILLS, lineterminator="\n")
    lines.writeheader()
    lines.writerows(kills_of(latest_results(results)))
    return told.getvalue()


def _machines(results: Sequence[Result], trials: Sequence[Trial]) -> str:
    told = [*(each.machine for each in results), *(each.machine for each in trials)]
    return " and ".join(dict.fromkeys(filter(None, told))) or "an unknown machine"


def _kills(results: Sequence[Result]) -> str:
    kills = sum(len(each.kills()) for each in results)
    roles = Counter(kill.blow.role for each in results for kill in each.kills())
    clean = sum(len(each.kills()) for each in results if each.is_clean)
    told = f"Processes killed with -9: {kills}, of these in clean rounds: {clean}"
    if clean == kills > 0:  # the rule of three, which holds where nothing was ever seen
        told += f"; at 95 %, fewer than {100 * 3 / kills:.2g} % of kills break a promise"
    of_each = ", ".join(f"{count} of {role}" for role, count in roles.most_common())
    return f"{told}. They were {of_each}." if kills else f"{told}."


def _notes(results: Sequence[Result]) -> list[str]:
    told = [f"- {each.fault}, seed {each.seed}: {each.note}" for each in results if each.note]
    return ["", "Noted:", "", *told] if told else []


def _unplayed(results: Sequence[Result]) -> list[str]:
    left = [name for name in FAULTS if all(each.fault != name for each in results)]
    return ["", f"Not played in this run: {', '.join(left)}."] if left else []


def _untried(trials: Sequence[Trial]) -> list[str]:
    tried = {each.mutant for each in trials}
    left = [name for name in MUTANTS if name not in tried]
    return ["", f"Not played: {', '.join(left)}."] if left else []


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> list[str]:
    headings = [_HEADINGS.get(each, each.replace("_", " ")) for each in columns]
    return table(headings, ([row[column] for column in columns] for row in rows))
