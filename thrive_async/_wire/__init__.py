"""Convert JSON to models and back.

It imports generated code, its base, and the public errors.
"""
