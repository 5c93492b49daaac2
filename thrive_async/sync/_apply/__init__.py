"""The one machine that carries out a plan: a run, its writes, ledger and journal, and a small door per kind of plan.

Imports `_match`, `_doubts`, `_guards`, `_reading` and the report. Plans import it, never the other way round.
"""
