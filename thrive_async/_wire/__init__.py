"""JSON to models and back, in one place.

Imports generated code, what that stands on, and the public errors.
"""
