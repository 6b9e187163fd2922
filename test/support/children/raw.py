"""A peer that says hello, if it is given changes to that, writes the bytes it is given, and goes on living.

`raw.py HEX [CHANGES]`, where the changes are a JSON object of the hello's fields.
"""

import json
import os
import socket
import sys
import time

from comporta import etf
from comporta.etf import Atom

stream = socket.socket(socket.AF_UNIX)
stream.connect(os.environ["COMPORTA_SOCKET"])
if len(sys.argv) > 2:
    hello = {
        "kind": Atom("hello"),
        "id": 0,
        "version": 1,
        "token": os.environ["COMPORTA_TOKEN"],
        "pid": os.getpid(),
    }
    header = etf.encode({**hello, **json.loads(sys.argv[2])})
    stream.sendall((len(header) + 4).to_bytes(4, "big") + len(header).to_bytes(4, "big") + header)
    stream.recv(1 << 16)
stream.sendall(bytes.fromhex(sys.argv[1]))
time.sleep(600)
