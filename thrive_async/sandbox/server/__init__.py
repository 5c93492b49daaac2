"""The server of the sandbox: engine, routing, replies, faults, tokens, journal, clock and the page for browsers.

Imports the handlers and the state below it, and the generated table of operations.
"""
