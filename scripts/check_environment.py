"""Exit with words unless all that comporta depends on, for development too, is installed and imports."""

from __future__ import annotations

import importlib
import re
import sys
from importlib import metadata
from pathlib import Path


def main() -> str | None:
    """What is wrong with this environment, or None."""
    root = Path(__file__).resolve().parents[1]
    try:
        for requirement in metadata.requires("comporta") or []:
            for module in modules_of(re.split(r"[^\w.-]", requirement, maxsplit=1)[0]):
                importlib.import_module(module)
        found = Path(importlib.import_module("comporta").__path__[0]).resolve()
    except Exception as error:  # whatever a broken installation may raise
        return f"{sys.prefix} is not usable: {type(error).__name__}: {error}"
    return None if found.is_relative_to(root) else f"{sys.prefix} has the comporta of {found}"


def modules_of(distribution: str) -> list[str]:
    """The packages that a distribution brings. Raises `PackageNotFoundError` where it is not installed."""
    files = metadata.files(distribution) or []
    return [file.parts[0] for file in files if len(file.parts) == 2 and file.name == "__init__.py"]


if __name__ == "__main__":
    sys.exit(main())
