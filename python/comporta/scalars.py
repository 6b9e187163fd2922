"""Single values: what numpy and pandas have for Python's own, and any value as an error shows it."""

from __future__ import annotations

from typing import Any


def unwrapped(value: Any) -> Any:
    """Python's own value for a scalar of numpy or pyarrow, None for pandas' missing ones; else the value.

    Raises `ValueError` for a value of another library that looks like a scalar, and is none.
    """
    try:
        return _unwrapped(value)
    except Exception as error:
        raise ValueError(
            f"{shown(value)} is a {type(value).__name__}, of which no plain value can be had:"
            f" {type(error).__name__}"
        ) from None


def _unwrapped(value: Any) -> Any:
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if hasattr(value, "as_py"):
        return value.as_py()
    if not hasattr(value, "dtype") or not hasattr(value, "item") or value.ndim != 0:
        return value
    if value.dtype.kind == "f":
        return float(value)
    if value.dtype.kind == "M":  # nanoseconds would become a bare number
        return value.astype("datetime64[us]").item()
    return value.item()


def shown(value: object) -> str:
    """A value for an error's text: short, whatever it is."""
    try:
        text = repr(value)
    except Exception:
        text = "that cannot be shown"
    return text if len(text) <= 100 else text[:97] + "..."


def clean(text: str, longest: int = 2000) -> str:
    """Text that every encoding takes, at most about `longest` characters of it, cut in the middle."""
    text = text.encode("utf-8", "backslashreplace").decode()
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} [...] {text[-half:]}"
