"""`thrive spec`: the OpenAPI document."""

import sys
from pathlib import Path

import thrive_async
from thrive_async.cli._errors import Exit

__all__ = ["spec"]


def spec() -> int:
    """Print the OpenAPI document that the SDK is generated from, as YAML.

    Use it with Swagger UI, schemathesis or a generator for another language: `thrive spec > thrive.yaml`.
    """
    package = Path(thrive_async.__file__).parent
    inside = package / "openapi" / "thrive.yaml"
    # In a checkout it lies beside the package.
    document = inside if inside.exists() else package.parent / "openapi" / "thrive.yaml"
    sys.stdout.write(document.read_text(encoding="utf-8"))
    return Exit.DONE
