"""One call: the request, its attempts, retries, the session, tokens, and the transport, which alone awaits the network.

Imports the gate, the converter, generated code, and the public settings and errors.
"""
