"""When a call may go: concurrency, rate, the cool-down after a 429, and the pace learned from it.

Imports the public settings and errors, and nothing of the transport.
"""
