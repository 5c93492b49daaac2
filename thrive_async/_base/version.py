"""The version of the package. The build takes it from the tag and writes it down, for metadata are slow to read."""

__all__ = ["__version__"]

try:
    from thrive_async._base._built import __version__
except ImportError:
    # A checkout that was never installed.
    __version__ = "0.1.0.dev0"
