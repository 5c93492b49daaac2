"""What generated code stands on: UNSET, the base of models, checks of what is written, values that are read.

Imports nothing else of the package.
"""
