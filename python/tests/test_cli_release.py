"""Which release the command runs, and which it refuses."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from comporta.cli import checkout as cli_checkout
from comporta.cli.checkout import NATIVE, check_native
from comporta.cli.release import find_release
from comporta.errors import ComportaError


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a release of this package's version, and that COMPORTA_RELEASE names."""
    script = tmp_path / "bin" / "comporta"
    script.parent.mkdir()
    script.touch(0o755)
    (tmp_path / "releases").mkdir()
    say_version(tmp_path, version("comporta"))
    monkeypatch.setenv("COMPORTA_RELEASE", str(tmp_path))
    return tmp_path


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a checkout with a release that is up to date."""
    monkeypatch.delenv("COMPORTA_RELEASE", raising=False)
    monkeypatch.setattr(cli_checkout, "CHECKOUT", tmp_path)
    built = tmp_path / "_build" / "prod" / "rel" / "comporta"
    for file in (
        built / "bin" / "comporta",
        built / "releases" / "start_erl.data",
        tmp_path / "lib" / "a.ex",
    ):
        file.parent.mkdir(parents=True)
        file.touch(0o755)
    (tmp_path / "mix.exs").touch()
    say_version(built, version("comporta"))
    make_older(tmp_path / "lib" / "a.ex", 10)
    make_older(tmp_path / "mix.exs", 10)
    return tmp_path


def make_older(file: Path, seconds: float) -> None:
    when = file.stat().st_mtime - seconds
    os.utime(file, (when, when))


def say_version(release: Path, text: str) -> None:
    (release / "releases" / "start_erl.data").write_text(f"13.1.5 {text}")


def test_a_release_of_this_version_is_found(release: Path) -> None:
    assert find_release() == release


def test_a_release_of_another_version_is_refused(release: Path) -> None:
    say_version(release, "0.0.7")
    with pytest.raises(ComportaError, match=r"is version 0\.0\.7, and the Python package"):
        find_release()


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_text("")], ids=["missing", "empty"])
def test_a_folder_that_does_not_say_its_version_is_no_release(
    release: Path, damage: Callable[[Path], object]
) -> None:
    damage(release / "releases" / "start_erl.data")
    with pytest.raises(ComportaError, match="is no release"):
        find_release()


def test_a_folder_without_its_script_is_refused(release: Path) -> None:
    (release / "bin" / "comporta").unlink()
    with pytest.raises(ComportaError, match="COMPORTA_RELEASE is"):
        find_release()


def test_a_checkout_runs_what_it_has_built(checkout: Path) -> None:
    assert find_release() == checkout / "_build" / "prod" / "rel" / "comporta"


def test_a_release_that_is_older_than_its_sources_is_refused(checkout: Path) -> None:
    make_older(checkout / "lib" / "a.ex", -20)
    with pytest.raises(ComportaError, match=r"older than lib/a\.ex: run `make setup`"):
        find_release()


def test_a_release_that_was_found_up_to_date_since_is_run(checkout: Path) -> None:
    make_older(checkout / "lib" / "a.ex", -20)
    stamp = checkout / "_build" / "prod" / "made-from"
    stamp.touch()
    make_older(stamp, -30)
    find_release()


@pytest.fixture
def native(checkout: Path) -> Path:
    """The native module of a checkout, as it was just built."""
    for file in (checkout / NATIVE, checkout / "python/native/src/lib.rs"):
        file.parent.mkdir(parents=True)
        file.touch()
    make_older(checkout / "python/native/src/lib.rs", 10)
    return checkout / NATIVE


def test_a_native_module_that_is_up_to_date_is_used(native: Path) -> None:
    check_native()


def test_a_native_module_that_is_older_than_its_sources_is_refused(native: Path) -> None:
    make_older(native, 20)
    with pytest.raises(ComportaError, match=r"older than python/native/src/lib\.rs: run `make setup`"):
        check_native()


def test_where_there_is_no_native_module_python_does_its_work(native: Path) -> None:
    native.unlink()
    check_native()
