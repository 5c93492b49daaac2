"""The SDK inside web frameworks: one thin module each, over shared parts without any framework.

`thrive_async.contrib.fastapi`, `.starlette`, `.aiohttp_web` and `.litestar` have the same names. Import the one of your
framework.
"""
