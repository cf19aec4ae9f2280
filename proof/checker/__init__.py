"""The checker: evidence in, violations out. Nothing here imports anything of the pipeline.

`judge` is the door, `oracle` the policy in plain words, `invariants` what was promised.
"""
