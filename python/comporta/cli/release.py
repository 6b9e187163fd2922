"""The release, as the command runs it: found, started as a child in a session of its own, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from comporta.cli import checkout
from comporta.connection import Closed, Connection
from comporta.errors import ComportaError

SCRIPT = Path("bin", "comporta")
VERSIONS = Path("releases", "start_erl.data")  # Erlang's runtime's, and the release's


def find_release() -> Path:
    """The release's folder: `COMPORTA_RELEASE`, else what this checkout has built.

    Raises `ComportaError` where none is there, for one of another version than this package, and for a
    checkout's own that is older than what it is built from.
    """
    given = os.environ.get("COMPORTA_RELEASE")
    folder = Path(given) if given else checkout.CHECKOUT / checkout.RELEASE
    if os.access(folder / SCRIPT, os.X_OK):
        _check_version(folder)
        if not given:
            checkout.check_release()
        return folder
    if given:
        raise ComportaError(f"COMPORTA_RELEASE is {given}, and there is no {folder / SCRIPT}")
    raise ComportaError(
        f"the release is not built ({folder} is missing): run `make setup`, or set COMPORTA_RELEASE"
    )


def _check_version(folder: Path) -> None:
    from importlib.metadata import version  # which other commands than `run` need not load

    try:
        _, release = (folder / VERSIONS).read_text().split()
    except (OSError, ValueError):
        raise ComportaError(
            f"{folder} is no release: {VERSIONS} in it does not say of what version"
        ) from None
    package = version("comporta")
    if release != package:
        raise ComportaError(
            f"the release in {folder} is version {release}, and the Python package comporta is {package}:"
            " install the same version of both"
        )


class Release:
    """A running release. What it logs comes from `output`, what it reports from `reports`."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [folder / SCRIPT, "start"],
                    env=_environment(settings, theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # or Ctrl-C at the terminal would reach it, too
                )
            except OSError as error:
                raise ComportaError(f"{folder / SCRIPT}: cannot be started: {error.strerror}") from error
        assert self._process.stdout is not None
        self.output = self._process.stdout.fileno()
        self.reports_descriptor = ours.detach()
        self.reports = Connection(self.reports_descriptor)

    def exit_status(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""
        return self._process.poll()

    def drain(self) -> None:
        """Ask it to finish what it has begun, and to stop."""
        with contextlib.suppress(Closed):
            self.reports.send({"kind": "drain"})  # a BEAM that is only just starting loses the signal
        self._process.terminate()

    def kill(self) -> None:
        """End it now; the Python processes that it started end with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self) -> int:
        """The exit status, once it has ended."""
        return self._process.wait()


def _environment(settings: Mapping[str, str], descriptor: int) -> dict[str, str]:
    # RELEASE_ variables are another release's, in whose environment the command was called.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RELEASE_")}
    options = environment.get("ELIXIR_ERL_OPTIONS", "")
    environment |= _locale(environment) | dict(settings)
    environment["COMPORTA_PROGRESS_FD"] = str(descriptor)
    environment["ELIXIR_ERL_OPTIONS"] = f"{options} -noinput +fnu".strip()
    environment["RELEASE_DISTRIBUTION"] = "none"
    environment["RELEASE_COOKIE"] = "none"  # not used without distribution, and to be seen by everybody
    environment.setdefault("ERL_CRASH_DUMP_SECONDS", "0")  # no dump into whatever folder this is
    return environment


def _locale(environment: Mapping[str, str]) -> dict[str, str]:
    """What makes text UTF-8 for whoever goes by the locale, unless it is already."""
    locale = next(
        (environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "C"
    )
    return {} if locale.upper().replace("-", "").endswith("UTF8") else {"LC_ALL": "C.UTF-8"}
