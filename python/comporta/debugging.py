"""A record run again under pdb, as a worker would run it."""

from __future__ import annotations

import pdb
import sys
import traceback
from bdb import BdbQuit

from comporta.records import Decoded
from comporta.transform import Transform


def debug(transform: Transform, decoded: Decoded) -> bool:
    """Run a transform over one record under pdb, from its first line; whether nothing was raised.

    What is raised is shown, and pdb goes to where it was. What is returned is shown, too.
    """
    try:
        made = pdb.runcall(transform.function, *transform.arguments(decoded))
    except BdbQuit:
        return True
    except BaseException as error:
        traceback.print_exception(error)
        pdb.post_mortem(error.__traceback__)
        return False
    print(f"returned {made!r}", file=sys.stderr)
    return True
