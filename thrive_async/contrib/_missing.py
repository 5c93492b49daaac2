"""What to do when a framework is not installed."""

__all__ = ["needed_by"]


def needed_by(name: str) -> str:
    """Return how to install what a module of this name needs."""
    return f'thrive_async.contrib.{name} needs {name}: pip install "thrive-async[{name}]"'
