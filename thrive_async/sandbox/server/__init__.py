"""The HTTP server of the sandbox: engine, routing, specification, faults, tokens, journal, clock, index page.

Imports the handlers, the state and the settings below it, and the generated operations; nothing else of the SDK.
"""
