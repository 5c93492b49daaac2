"""The version of the package. The build takes it from the tag and writes it down, because metadata are slow to read."""

from importlib import import_module

__all__ = ["__version__"]

try:
    # By name, for checkers do not find what only a build has.
    __version__: str = import_module("thrive_async._base._built").__version__
except ModuleNotFoundError:
    # A checkout that was never installed.
    __version__ = "0.1.0.dev0"
