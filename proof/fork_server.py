"""Imported by the fork server alone: it dies with the process that started it, in whatever way.

Its children hold the pipe that would tell it of that death, and they end with it, so none would.
"""

from streams.children import die_with_parent

die_with_parent()
