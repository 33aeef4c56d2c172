"""The images of a folder: one file per image, or several files stacked as channels."""

from pathlib import Path

from goldfold.base.errors import DataError
from goldfold.images.files import images_below, pool_of
from goldfold.images.stacks import gathered, joined, named


def images(root: str | Path, key: str, stack: list[str] | None, pattern: str) -> list[tuple[str, str]]:
    """(id, path) of every image below ``root``, sorted by id; the id is the relative path without suffix and channel.

    Args:
        key: the config key that names the folder, for errors.
        stack, pattern: see `goldfold.images.stacks.gathered`; with None, each file is an image.

    Raises:
        DataError: there are no images or no files of a channel, or a channel has two files.
    """
    if stack is None:
        return pool_of(root, key)
    names = images_below(root, key)
    found = gathered(names, stack, pattern)
    if not found:
        example = named("{id}", stack[0], pattern)
        raise DataError(
            f"{key}: none of the {len(names)} images below {root} matches a channel of data.stack, e.g. {example}.png; the first "
            f"is {names[0]}. Correct data.stack or data.stack_pattern."
        )
    if left := len(names) - sum(not file.endswith(".*") for files in found.values() for file in files):
        print(f"{key}: left out {left} files below {root} that match no channel of data.stack", flush=True)
    return [(id, joined([str(Path(root) / file) for file in files])) for id, files in sorted(found.items())]
