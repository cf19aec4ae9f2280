"""`python -m streams.cli`, for processes that start one another."""

from streams.cli import main

main()
