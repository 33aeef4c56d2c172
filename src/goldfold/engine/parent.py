"""Make child processes end with their parent."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Option of Linux's prctl that sets the signal sent to a process when its parent dies."""


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies for any reason.

    Args:
        parent: process id of the parent, which may have died already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
