"""Loading: a user's file is executed, and the pipeline that it defines taken from it."""

from __future__ import annotations

import hashlib
import inspect
import linecache
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from comporta.definition import Pipeline, by_id
from comporta.errors import DefinitionError
from comporta.metrics import KINDS
from comporta.options import OWN_FOLDER

INSTALLED = {"site-packages", "dist-packages"}
CALLS: dict[str, tuple[str, Callable[..., object]]] = {
    "Pipeline.__init__()": ("Pipeline", Pipeline),
    "by_id()": ("by_id", by_id),
    **{f"{metric.__name__}.__init__()": (kind, metric) for kind, metric in KINDS.items()},
}
"""What a file may call, by how Python's errors call it."""


def load(path: str, code: bytes | None = None, name: str | None = None) -> Pipeline:
    """The pipeline that a file defines.

    `code` is executed as the file's content (default: what the file holds now). The file's folder is first on
    `sys.path` from then on, so that it can import its neighbours. `name` says which pipeline, if there are
    several. Raises `DefinitionError`, with file and line, for whatever is wrong with it.
    """
    if code is None:
        try:
            code = Path(path).read_bytes()
        except OSError as error:
            raise DefinitionError(
                f"cannot be read: {error.strerror}; give a Python file", file=path
            ) from None
    module = _execute(path, code)
    found: dict[str, Pipeline] = {}
    for value in list(vars(module).values()):
        if isinstance(value, Pipeline) and found.setdefault(value.name, value) is not value:
            what = f"two pipelines are called {value.name!r}; give each a name of its own"
            raise DefinitionError(what, file=path, line=value.line)
    pipeline = _choose(path, found, name)
    pipeline.runner()
    pipeline.file = path
    pipeline.code = hashlib.sha256(code).hexdigest()[:16]
    return pipeline


def local_modules_hash(path: str) -> str:
    """A hash of the modules that are loaded from the folder of a file or from below it.

    The file itself is not part of it, nor is what is installed there, nor Comporta.
    """
    digest = hashlib.sha256()
    for file in sorted({Path(found).resolve() for found in _module_files()}):
        if file != Path(path).resolve() and _is_local(file, path):
            content = file.read_bytes() if file.is_file() else b""
            digest.update(os.fsencode(file) + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()


def _is_local(file: Path, path: str) -> bool:
    """Whether a file is the user's own, from the folder of the file at `path` or below."""
    inside = file.is_relative_to(Path(path).resolve().parent)
    return inside and not file.is_relative_to(OWN_FOLDER) and not INSTALLED.intersection(file.parts)


def _module_files() -> list[str]:
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return [file for file in files if isinstance(file, str)]


def _execute(path: str, code: bytes) -> ModuleType:
    # Tracebacks show the lines that were run, even if the file was edited since.
    linecache.cache[path] = (len(code), None, code.decode("utf-8", "replace").splitlines(keepends=True), path)
    folder = str(Path(path).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # Under its own name, so that what it defines can be pickled, unless that is another module's.
    stem = Path(path).stem
    known = sys.modules.get(stem)
    module = ModuleType(
        stem if known is None or getattr(known, "__file__", None) == path else f"comporta_file_{stem}"
    )
    module.__file__ = path
    sys.modules[module.__name__] = module
    try:
        exec(compile(code, path, "exec", dont_inherit=True), vars(module))
    except DefinitionError:
        raise
    except (Exception, SystemExit) as error:
        raise _explained(path, error) from None
    return module


def _explained(path: str, error: BaseException) -> DefinitionError:
    """What went wrong in a user's file, in one line."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        shown = f" in {error.text.strip()!r}" if error.text and error.text.strip() else ""
        python = ".".join(map(str, sys.version_info[:2]))
        what = f"{type(error).__name__}: {error.msg}{shown}; correct it so that Python {python} can read it"
        return DefinitionError(what, file=error.filename, line=error.lineno)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == path or _is_local(Path(frame.filename), path)]
    file, line = (own[-1].filename, own[-1].lineno) if own else (path, None)
    text = " ".join(str(error).split())
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return DefinitionError(f"{what}; {_remedy(path, error, text)}", file=file, line=line)


def _remedy(path: str, error: BaseException, text: str) -> str:
    called = text.partition(" ")[0]
    if isinstance(error, TypeError) and called in CALLS:
        name, function = CALLS[called]
        signature = inspect.signature(function)
        parameters = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
        return f"write comporta.{name}{inspect.Signature(parameters)}"
    if isinstance(error, ModuleNotFoundError):
        return f"install it for {sys.executable}, or put it beside {Path(path).name}"
    if isinstance(error, SystemExit):
        return 'the file is imported, so put what ends the program under `if __name__ == "__main__":`'
    return "the file must run without an error when it is imported"


def _choose(path: str, found: dict[str, Pipeline], name: str | None) -> Pipeline:
    if not found:
        raise DefinitionError(
            'defines no pipeline; write pipeline = comporta.Pipeline("name", metrics=[...])', file=path
        )
    names = ", ".join(sorted(found))
    if name is not None:
        if name not in found:
            raise DefinitionError(f"defines no pipeline {name!r}; it has {names}", file=path)
        return found[name]
    if len(found) > 1:
        raise DefinitionError(
            f"defines several pipelines ({names}); name one, as {path}:{min(found)}", file=path
        )
    return next(iter(found.values()))
