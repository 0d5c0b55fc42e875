"""send FRAME HOST PORT FILE...: ASTM records, sent by python-astm's Client.

A file holds records, each ended by CR. Each file is a session on a connection of
its own, one after the other. FRAME is the longest frame in bytes, or 0 for a
frame a record however long. Prints one line `SESSION ACK` or `SESSION NAK`.
"""

import logging
import sys

from astm import asynclib
from astm.client import Client

# What this port to Python 3 has left of Python 2. Fields have to be bytes as
# well: it takes text for a list of components.
asynclib.buffer = lambda data, start, size: data[start : start + size]

frame, host, port, files = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]
odd = []


class Remember(logging.Handler):
    """The library logs what it finds odd and goes on."""

    def emit(self, record):
        odd.append(self.format(record))


logging.getLogger().addHandler(Remember(logging.WARNING))


def session(number, file):
    with open(file, "rb") as stream:
        text = stream.read()
    for record in text.rstrip(b"\r").split(b"\r"):
        taken = yield record.split(b"|")
        if not taken:
            print(number, "NAK")
            return
    print(number, "ACK")


for number, file in enumerate(files, 1):
    client = Client(lambda: session(number, file), host=host, port=port, flow_map=None, chunk_size=frame or None)
    client.run(timeout=0.1)
sys.exit("\n".join(odd) or None)
