"""Which release the command runs, and which it refuses."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

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
