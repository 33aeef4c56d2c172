"""Whether a process that a file names is still alive."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def lives(named: Mapping[str, Any]) -> bool:
    """Whether the process with this ``host`` and ``pid`` is alive on this host, and no later one with its number.

    Args:
        named: host, pid, and ``born`` as `born` gave it; without the latter, any process of that number will do.
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
    """When a process started, in ticks since the machine did; empty where that is not known, "dead" for a zombie."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return ""
    return "dead" if facts[0] in "ZX" else facts[19]
