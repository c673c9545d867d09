"""Open one store in many forked processes at once, and print after how many seconds the last of them had it."""

from __future__ import annotations

import os
import sys
import time

from psk import Store
from psk.connectors import find_connector


def main() -> None:
    uri, count = sys.argv[1], int(sys.argv[2])
    find_connector(uri.partition(":")[0])  # so that not each process imports it
    opened, report = os.pipe()
    started, begin = os.pipe()
    ended, end = os.pipe()
    for _ in range(count):
        if os.fork() == 0:
            os.close(begin)
            os.close(end)
            os.read(started, 1)  # nothing comes, until the parent closes its end
            with Store.from_uri(uri):
                os.write(report, b"opened\n")
                os.read(ended, 1)
            os._exit(0)
    start = time.perf_counter()
    os.close(begin)
    os.close(report)
    for _ in range(count):
        if os.read(opened, len(b"opened\n")) != b"opened\n":
            sys.exit("a process could not open the store")
    print(time.perf_counter() - start)
    os.close(end)
    for _ in range(count):
        os.wait()


if __name__ == "__main__":
    main()
