"""A minute of `postrider prove`: real workers are killed and keep every promise; workers that break
some are told of, by name. The whole of it is `make prove`."""

from pathlib import Path

import pytest

from proof.faults.kills import Kill
from proof.mutants.base import Scene
from proof.mutants.catalogue import MUTANTS, NEWS
from proof.mutants.trial import perform
from streams.embedded_kafka import EmbeddedKafka

KILLS = Scene(name="kills", fault=Kill(), changes={"seconds": 12.0, "ttl_seconds": 25})
PLANTED = ("mix-up-a-batch", "no-caps", "slice-off-by-one", "ranks-alike")
"""They show in one scene: each is complained of in words of its own."""


@pytest.mark.timeout(300)
async def test_workers_that_are_killed_keep_every_promise(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    result = await perform(KILLS, [], kafka=kafka, folder=tmp_path / "stage", seed=1)

    assert result.violations == []
    assert len(result.kills()) >= 3
    assert result.accepts > 0


@pytest.mark.timeout(300)
async def test_planted_faults_are_told_of_by_their_invariants_in_a_scene_that_is_clean_without(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    control = await perform(NEWS, [], kafka=kafka, folder=tmp_path / "control", seed=1)
    assert control.violations == []

    mutants = [MUTANTS[name] for name in PLANTED]
    result = await perform(NEWS, mutants, kafka=kafka, folder=tmp_path / "stage", seed=1)

    for mutant in mutants:
        told = [each.words for each in result.violations if each.invariant in mutant.caught_by]
        assert any(mutant.says in words for words in told), f"{mutant.name}: {told[:9]}"
