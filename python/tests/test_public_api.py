from __future__ import annotations

import subprocess
import sys

import pytest

import comporta
from comporta import errors


def test_all_is_what_the_package_offers() -> None:
    assert comporta.__all__ == [
        "ComportaError",
        "DefinitionError",
        "Pipeline",
        "Record",
        "by_id",
        "count",
        "distinct",
        "max",
        "mean",
        "min",
        "quantiles",
        "sum",
        "testing",
        "top",
    ]
    for name in comporta.__all__:
        assert getattr(comporta, name).__doc__


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("comporta", {"numpy", "pandas", "polars", "pyarrow", "datasketches", "sqlite3"}),
        ("comporta.cli", {"numpy", "pandas", "polars", "pyarrow", "datasketches", "aiokafka", "cassandra"}),
    ],
)
def test_importing_it_brings_none_of_the_heavy_libraries(module: str, heavy: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_error_is_in_the_tree() -> None:
    assert errors.__doc__
    found = {name for name, value in vars(errors).items() if isinstance(value, type)}
    drawn = {word for word in errors.__doc__.split() if word in found}
    assert drawn == found
    assert all(issubclass(getattr(errors, name), errors.ComportaError) for name in found)
