"""The HTTP server of the sandbox: engine, routing, specification, faults, tokens, journal, clock, index page.

It imports the handlers, the state, the settings and the generated operations, and nothing else of the SDK.
"""
