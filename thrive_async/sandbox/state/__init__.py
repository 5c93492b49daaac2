"""What a sandbox holds: its records, the rules that keep them consistent, and the seed they start from.

Imports nothing else of the sandbox.
"""
