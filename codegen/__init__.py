"""Generate `thrive_async/_generated/` from `openapi/thrive.yaml`: `python -m codegen [--check]`."""
