"""Images of several files, with one or more channels each. In tables the path is a JSON list of the files' paths."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from goldfold.base.errors import DataError
from goldfold.images.files import without_suffix

MISSING = ".*"
"""Suffix of a missing file, whose real suffix is unknown."""


def is_stack(path: str | Path) -> bool:
    """True if a path stands for several files."""
    return str(path).startswith('["') and str(path).endswith('"]')


def joined(files: Sequence[str]) -> str:
    """Path of an image of these files, in the order of its channels."""
    return json.dumps(list(files), ensure_ascii=False)


def files_of(path: str | Path) -> list[str]:
    """Files of an image."""
    return [str(file) for file in json.loads(str(path))] if is_stack(path) else [str(path)]


def gathered(names: Iterable[str], stack: Sequence[str], pattern: str) -> dict[str, list[str]]:
    """Files of each id, in the order of ``stack``; a missing one has the suffix ``.*``.

    Args:
        names: relative paths of image files; those of no channel are ignored.
        stack: names of the channels.
        pattern: path without suffix in terms of id and channel, e.g. ``{id}_{channel}``.

    Raises:
        DataError: a channel of an id has two files.
    """
    found: dict[str, dict[str, str]] = {}
    shape = _expression(stack, pattern)
    for name in names:
        if match := shape.fullmatch(without_suffix(name)):
            own = found.setdefault(match["id"], {})
            if match["channel"] in own:
                raise DataError(
                    f"data.stack: {own[match['channel']]} and {name} are both the channel {match['channel']!r} of "
                    f"{match['id']!r}. Remove one."
                )
            own[match["channel"]] = name
    return {
        id: [own.get(channel) or named(id, channel, pattern) + MISSING for channel in stack]
        for id, own in found.items()
    }


def named(id: str, channel: str, pattern: str) -> str:
    """Relative path without suffix of one channel."""
    return pattern.replace("{channel}", channel).replace("{id}", id)


def _expression(stack: Sequence[str], pattern: str) -> re.Pattern[str]:
    channels = "|".join(re.escape(channel) for channel in stack)
    escaped = re.escape(pattern).replace(re.escape("{channel}"), f"(?P<channel>{channels})")
    return re.compile(escaped.replace(re.escape("{id}"), "(?P<id>.+?)"))


def digest(path: str, digests: Mapping[str, str]) -> str | None:
    """Digest of an image from those of its files; None if none of them exists."""
    if not is_stack(path):
        return digests.get(path)
    parts = [digests.get(file, "") for file in files_of(path)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest() if any(parts) else None


def all_there(path: str | Path) -> bool:
    """True if every file of an image exists."""
    return all(os.path.isfile(file) for file in files_of(path))
