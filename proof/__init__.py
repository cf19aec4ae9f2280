"""The other side of the table: what was promised, what happened, and whether the two agree.

`checker` shares no decision with the pipeline: it knows the rules as plain data, and ledgers
written by processes that no fault touches. Beside it is what runs load and faults against real
workers and hands it their evidence.
"""
