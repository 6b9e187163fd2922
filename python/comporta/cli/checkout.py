"""What a checkout builds, and whether that is older than what it is built from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from comporta.errors import ComportaError

CHECKOUT = Path(__file__).resolve().parents[3]
RELEASE = Path("_build", "prod", "rel", "comporta")
# `make setup` touches what it finds up to date: of the release, a stamp.
RELEASE_STAMPS = (Path("_build", "prod", "made-from"), RELEASE / "releases" / "start_erl.data")
RELEASE_SOURCES = ("mix.exs", "lib", "config", "rel")
NATIVE = Path("python", "comporta", f"_native{EXTENSION_SUFFIXES[0]}")
NATIVE_SOURCES = ("python/native/Cargo.toml", "python/native/Cargo.lock", "python/native/src")


def check_release() -> None:
    """Raises `ComportaError` where this checkout's release is older than its sources."""
    _check("release", RELEASE_STAMPS, RELEASE_SOURCES)


def check_native() -> None:
    """Raises `ComportaError` where this checkout's native module is older than its sources.

    Where there is none, Python does its work; what is installed from a wheel is of one making.
    """
    _check("native module", [NATIVE], NATIVE_SOURCES)


def _check(what: str, stamps: Iterable[Path], sources: Sequence[str]) -> None:
    times = [(CHECKOUT / stamp).stat().st_mtime for stamp in stamps if (CHECKOUT / stamp).exists()]
    if not times:
        return
    built = max(times)
    for file in _files(sources):
        if file.stat().st_mtime > built:
            raise ComportaError(
                f"the {what} is older than {file.relative_to(CHECKOUT)}: run `make setup`,"
                " which builds it anew"
            )


def _files(sources: Sequence[str]) -> Iterator[Path]:
    for source in sources:
        path = CHECKOUT / source
        yield from [path] if path.is_file() else filter(Path.is_file, path.rglob("*"))
