"""Check whether a process recorded in a file is still alive."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def lives(named: Mapping[str, Any]) -> bool:
    """True if the process with this ``host`` and ``pid`` is alive on this host and its number was not reused.

    Args:
        named: host, pid, and the result of `born`; without the latter, any process with that number counts.
    """
    pid = str(named.get("pid", ""))
    if named.get("host") != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        pass
    return "born" not in named or born(pid) in ("", named["born"])


def born(pid: str | int) -> str:
    """Start time of a process in clock ticks since boot; empty if unknown, "dead" for a zombie."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return ""
    return "dead" if facts[0] in "ZX" else facts[19]
