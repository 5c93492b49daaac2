"""`python -m codegen [--check]`: write the generated files, or show how they differ from the specification."""

import argparse
import difflib
import sys
from pathlib import Path

from codegen.output import ToolError, check_tools, generate
from codegen.specification import SpecificationError

ROOT = Path(__file__).parent.parent


def main(arguments: list[str] | None = None, *, root: Path = ROOT) -> int:
    """Run the generator.

    Args:
        arguments: The command line. The default is that of the process.
        root: The directory that holds `openapi/` and `thrive_async/`.

    Returns:
        The exit code: 0 if all is well, 1 with `--check` if a file differs, 2 if nothing can be generated.
    """
    parser = argparse.ArgumentParser(prog="python -m codegen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; print a diff and exit 1 on any drift")
    options = parser.parse_args(arguments)
    source, target = root / "openapi" / "thrive.yaml", root / "thrive_async" / "_generated"
    try:
        check_tools()
        wanted = generate(source.read_text(encoding="utf-8"))
    except (OSError, SpecificationError, ToolError) as error:
        sys.stderr.write(f"codegen: {error}\n")
        return 2
    found = {path.name: path.read_text(encoding="utf-8") for path in target.glob("*.*") if path.is_file()}
    drift = [name for name in sorted(found.keys() | wanted.keys()) if found.get(name) != wanted.get(name)]
    if options.check:
        for name in drift:
            sys.stdout.writelines(_diff(name, found.get(name, ""), wanted.get(name, "")))
        return 1 if drift else 0
    target.mkdir(parents=True, exist_ok=True)
    for name in drift:
        if name in wanted:
            (target / name).write_text(wanted[name], encoding="utf-8", newline="\n")
        else:
            (target / name).unlink()
    sys.stderr.write(f"codegen: {len(drift)} of {len(wanted)} files changed\n")
    return 0


def _diff(name: str, found: str, wanted: str) -> list[str]:
    old, new = f"thrive_async/_generated/{name}", f"{name} as generated from the specification"
    lines = difflib.unified_diff(found.splitlines(keepends=True), wanted.splitlines(keepends=True), old, new)
    return [line if line.endswith("\n") else f"{line}\n" for line in lines]


if __name__ == "__main__":
    sys.exit(main())
