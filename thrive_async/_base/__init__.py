"""The base of generated code: UNSET, the base classes of models, checks of requests, values of replies.

It imports nothing else of the package.
"""
