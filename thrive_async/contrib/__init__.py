"""The SDK inside web frameworks and beside tracing: one thin module each.

`thrive_async.contrib.opentelemetry` records spans and metrics; the framework modules have one name each.
"""
