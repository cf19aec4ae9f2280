"""`python -m proof.checker FOLDER`: judge evidence again; exit code 1 when a promise is broken."""

import sys
import time
from pathlib import Path

from proof.checker.folder import judge_folder
from proof.checker.ledgers import missing_in
from proof.checker.verdict import INVARIANTS, Verdict

_SHOWN = 50


def lines(verdict: Verdict) -> list[str]:
    """What is wrong, with the ids to look at, and how much there was."""
    told = [str(each) for each in verdict.violations[:_SHOWN]]
    if len(verdict.violations) > _SHOWN:
        told.append(f"and {len(verdict.violations) - _SHOWN} more")
    broken = verdict.broken()
    told += [f"{name} {broken[name]:>6} violations: {INVARIANTS[name]}" for name in sorted(broken)]
    told.append(", ".join(f"{count} {name}" for name, count in verdict.tally.counts.items()))
    return told


def main() -> None:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m proof.checker FOLDER")
    missing = missing_in(Path(sys.argv[1]))
    if missing:
        sys.exit(f"no evidence to judge by, without {', '.join(missing)}")
    began = time.monotonic()
    verdict = judge_folder(Path(sys.argv[1]))
    for line in lines(verdict):
        print(line)
    print(
        f"judged in {time.monotonic() - began:.1f} s: {'clean' if verdict.is_clean else 'BROKEN'}"
    )
    sys.exit(not verdict.is_clean)


if __name__ == "__main__":
    main()
