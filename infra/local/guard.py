"""Ends what a killed process has left behind. Started by `infra.local.processes` as a script, without site-packages.

Reads process groups from stdin, one a line: `+123` to watch, `-123` to forget. The kernel closes that pipe when the
process that holds its other end is gone, however it ended; then all groups still watched are ended. Unlike Linux's
PR_SET_PDEATHSIG this works on every Unix, reaches grandchildren, and does not ask which thread started a child.
"""

import contextlib
import os
import signal
import sys
import time

GRACE_S = 2.0


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    if groups:
        end(groups)


def end(groups: set[int]) -> None:
    for number, pause_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, 0.0)):
        for group in groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
        time.sleep(pause_s)


if __name__ == "__main__":
    main()
