"""Who is who: names, matching, look-ups, the rows of an export, and what differs between a row and a user.

Imports the models, the client and `_workers`, and nothing else of the sync.
"""
