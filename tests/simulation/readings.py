"""Evidence, read another way: by what was said when."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from tests.simulation.evidence import Said


def choices_in(changes: Sequence[Said]) -> Mapping[tuple[str, str], list[tuple[str, int, bool]]]:
    """What people said themselves of a channel or type: (occurred, appended, on)."""
    said: defaultdict[tuple[str, str], list[tuple[str, int, bool]]] = defaultdict(list)
    for change in changes:
        what = change.what
        if what["change"] != "preferences_updated" or what["source"] != "user":
            continue
        for about, wish in what["preferences"].items():
            words = wish if about == "types" else {about: wish.get("enabled")}
            for name, enabled in words.items():
                if enabled is not None:
                    said[what["user_id"], name].append((what["occurred_at"], change.at_ms, enabled))
    return said
