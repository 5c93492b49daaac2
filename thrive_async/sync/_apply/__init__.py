"""The one machine that carries out a plan: the run with its workers, the writes, the journal.

Imports who is who (`_match`), the guards and the report; plans import it, never the other way round.
"""
