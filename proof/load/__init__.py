"""Open-loop load from a seed, by a process that no fault touches: it writes what was promised."""
