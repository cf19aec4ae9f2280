"""Planted faults: workers that break one promise each. A checker that has not failed proves nothing.

A mutant is a patch of a worker process before it begins; production code knows nothing of it.
"""
