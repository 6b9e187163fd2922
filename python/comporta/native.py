"""The native module, where the package was built with a Rust compiler at hand; None elsewhere.

Whatever it does has a twin in Python, which is used then.
"""

from __future__ import annotations

try:
    import comporta._native as native
except ImportError:
    native = None  # type: ignore[assignment]

__all__ = ["native"]
