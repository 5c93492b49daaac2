"""What a sandbox holds: records, the rules that keep them consistent, and the data it starts from.

Imports nothing else of the sandbox.
"""
