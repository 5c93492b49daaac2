"""Who is who: names, matching, look-ups, the rows of an export, and how two accounts differ.

Imports the models and the client, and nothing else of the sync.
"""
