"""The sandbox's data: records, the rules that keep them consistent, and the data it starts from.

It imports nothing else of the sandbox.
"""
