"""Generators of files in docs/; not part of the installed package."""
