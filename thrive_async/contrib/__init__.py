"""The SDK inside web frameworks and beside tracing: thin modules over shared parts without any framework.

`thrive_async.contrib.fastapi`, `.starlette`, `.aiohttp_web` and `.litestar` have the same names: import the one of your
framework. `thrive_async.contrib.opentelemetry` records spans and metrics.
"""
