"""A VNC server of nothing but size: a black picture for each request, as fast as it is taken.

    python -m tests.benchmarks.console_flood SOCKET WIDTH HEIGHT

It draws nothing and encodes nothing, so what is measured through it is the way, not the source.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from contextlib import suppress


def serve(connection: socket.socket, width: int, height: int, picture: bytes) -> None:
    """Until the viewer leaves."""
    with suppress(OSError):
        talk(connection, width, height, picture)


def talk(connection: socket.socket, width: int, height: int, picture: bytes) -> None:
    stream = connection.makefile("rb")
    connection.sendall(b"RFB 003.008\n")
    stream.read(12)
    connection.sendall(b"\x01\x01")
    stream.read(1)
    connection.sendall(bytes(4))
    stream.read(1)
    connection.sendall(struct.pack(">HH16xI", width, height, 5) + b"flood")
    while kind := stream.read(1):
        if kind == b"\x02":
            stream.read(4 * int.from_bytes(stream.read(3)[1:], "big"))
        elif kind == b"\x03":
            _, x, y, wide, high = struct.unpack(">BHHHH", stream.read(9))
            connection.sendall(struct.pack(">BxHHHHHi", 0, 1, x, y, wide, high, 0))
            connection.sendall(memoryview(picture)[: wide * high * 4])
        else:
            stream.read({0: 19, 4: 7, 5: 5}[kind[0]])


def main(path: str, width: int, height: int) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen(8)
    picture = bytes(width * height * 4)
    print("listening", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, width, height, picture), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
