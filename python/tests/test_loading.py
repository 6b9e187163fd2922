from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from comporta.errors import DefinitionError
from comporta.loading import load, local_modules_hash

GOOD = """
import comporta as c
pipeline = c.Pipeline("good", metrics=[c.count("n")])

@pipeline.transform
def parse(line):
    return {}
"""


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def written(folder: Path, text: str, name: str = "logs.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def error(path: str, name: str | None = None) -> str:
    with pytest.raises(DefinitionError) as caught:
        load(path, None, name)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_file_is_executed_and_its_pipeline_found(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    pipeline = load(path)
    assert pipeline.name == "good"
    assert pipeline.definition().file == path


def test_the_bytes_given_are_what_is_executed(tmp_path: Path) -> None:
    path = written(tmp_path, "this is not what runs")
    assert load(path, GOOD.encode()).name == "good"


def test_a_traceback_shows_the_lines_that_ran(tmp_path: Path) -> None:
    path = written(tmp_path, "edited since")
    pipeline = load(path, GOOD.replace("return {}", "return 1 / 0  # as it ran").encode())
    from comporta import testing

    letter = testing.run(pipeline, [b""]).letters[0]
    assert "return 1 / 0  # as it ran" in (letter["traceback"] or "")


def test_a_file_can_import_its_neighbours(tmp_path: Path) -> None:
    written(tmp_path, "NAME = 'n'", "neighbour_of_logs.py")
    path = written(
        tmp_path,
        GOOD.replace('"n"', "NAME").replace("import c", "from neighbour_of_logs import NAME\nimport c"),
    )
    assert load(path).metrics[0].name == "n"


def test_classes_of_the_file_know_their_module(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int | None' = 1\n" + GOOD,
    )
    load(path)
    assert sys.modules["logs"].A.__module__ == "logs"


def test_a_file_named_like_a_module_does_not_take_its_place(tmp_path: Path) -> None:
    import json

    assert load(written(tmp_path, GOOD, "json.py")).name == "good"
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("text", "line", "parts"),
    [
        ("x = (\n", 1, ["SyntaxError", "correct it"]),
        ("\nimport nothing_of_this_name\n", 2, ["ModuleNotFoundError", "nothing_of_this_name", "install it"]),
        ("import json\nfrom json import nothing\n", 2, ["ImportError", "nothing"]),
        ("\n\nx = y\n", 3, ["NameError", "'y'", "without an error"]),
        ("import re\nre.compile('(')\n", 2, ["must run without an error"]),
        ("import sys\nsys.exit(3)\n", 2, ["SystemExit", "__main__"]),
        ("raise ValueError('two\\nlines')\n", 1, ["ValueError: two lines"]),
        ("import comporta\ncomporta.count('n', every='x')\n", 2, ["every='x'", 'every="1m"']),
        (
            "import comporta\ncomporta.count('n', of='x')\n",
            2,
            ["argument 'of'", "write comporta.count(name, *, by=(), every=None)"],
        ),
        (
            "import comporta\ncomporta.Pipeline('p')\n",
            2,
            ["'metrics'", "write comporta.Pipeline(name, *, metrics, "],
        ),
        ("import comporta\ncomporta.by_id('p', with_in='1h')\n", 2, ["'with_in'", "within='24h'"]),
        (
            "import comporta\npipeline = comporta.Pipeline('p', metrics=[comporta.count('n')])",
            2,
            ["@pipeline.transform"],
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_said_in_one_line(
    tmp_path: Path, text: str, line: int, parts: list[str]
) -> None:
    path = written(tmp_path, text)
    said = error(path)
    assert said.startswith(f"{path}:{line}: ")
    assert all(part in said for part in parts)


def test_an_error_in_a_neighbour_is_where_it_is(tmp_path: Path) -> None:
    neighbour = written(tmp_path, "\n1 / 0\n", "broken_neighbour.py")
    assert error(written(tmp_path, "import broken_neighbour\n")).startswith(
        f"{neighbour}:2: ZeroDivisionError"
    )
    neighbour = written(tmp_path, "\nx = = 1\n", "misspelt_neighbour.py")
    assert error(written(tmp_path, "import misspelt_neighbour\n")).startswith(f"{neighbour}:2: SyntaxError")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "No such file" in error(str(tmp_path / "logs.py"))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "logs.py"
    path.write_bytes(b"x = '\xff'\n")
    assert error(str(path)).startswith(f"{path}:")
    path.write_bytes(b"x = 1\0\n")
    assert error(str(path)).startswith(f"{path}")


def test_a_file_without_a_pipeline(tmp_path: Path) -> None:
    assert "defines no pipeline; write" in error(written(tmp_path, "x = 1\n"))


def test_of_several_pipelines_one_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + GOOD.replace("pipeline", "second").replace("good", "other"))
    assert f"(good, other); name one, as {path}:good" in error(path)
    assert load(path, None, "other").name == "other"
    assert "no pipeline 'third'; it has good, other" in error(path, "third")


def test_two_pipelines_of_one_name(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + GOOD.replace("pipeline", "second"))
    assert "two pipelines are called 'good'" in error(path)


def test_one_pipeline_under_two_names(tmp_path: Path) -> None:
    assert load(written(tmp_path, GOOD + "again = pipeline\n")).name == "good"


def hashed(path: str) -> str:
    code = f"from comporta.loading import *; load({path!r}); print(local_modules_hash({path!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_change_in_a_neighbour_changes_the_hash(tmp_path: Path) -> None:
    neighbour = tmp_path / "neighbour.py"
    neighbour.write_text("X = 1\n")
    written(tmp_path, "Y = 1\n", "stranger.py")
    path = written(tmp_path, "import neighbour\n" + GOOD)
    before = hashed(path)
    written(tmp_path, "Y = 2\n", "stranger.py")
    written(tmp_path, "import neighbour\n# the file itself is not part of it\n" + GOOD)
    assert hashed(path) == before
    neighbour.write_text("X = 2\n")
    assert hashed(path) != before


def test_without_neighbours_there_is_nothing_to_hash(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    assert hashed(written(first, GOOD)) == hashed(written(second, GOOD + "\n"))
    assert local_modules_hash(str(first / "logs.py")) + "\n" == hashed(str(first / "logs.py"))
