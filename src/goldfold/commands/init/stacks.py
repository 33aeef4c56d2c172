"""Detect images with one file per channel: ``1_red.png``, ``1_green.png``, ..."""

import os
from dataclasses import dataclass

from goldfold.base.words import count
from goldfold.commands.init.found import Layout, Setting, some
from goldfold.commands.init.walk import Folder, Tree
from goldfold.images.files import without_suffix

WORDS = (
    "red", "green", "blue", "yellow", "cyan", "magenta", "nir", "swir", "dapi", "hoechst", "gfp", "fitc", "rfp", "tritc",
    "mcherry", "cy3", "cy5", "brightfield", "bf", "phase",
    *(f"{letters}{digit}" for letters in ("ch", "c", "w", "band", "b") for digit in range(10)),
)  # fmt: skip
"""Common names of channels, in stacking order."""
SOURCES = ("csv", "folder")
"""Sources that read stacks."""
ENOUGH = 0.9
"""Smallest share of files that are of a channel, and of images that have all channels."""


@dataclass(frozen=True)
class Stacks:
    """A folder in which each image is several files."""

    tree: Tree
    """The folder with one file per image, named after its id."""
    channels: list[str]
    first: dict[str, str]
    """Name in ``tree`` -> an existing file of the image."""
    incomplete: list[str]
    """Images that lack a channel."""


def stacked(tree: Tree) -> Stacks | None:
    """Find the stacks of a folder; None if most images are single files."""
    images, files = tree.images(), dict[str, dict[str, str]]()
    for name in images:
        id, _, channel = without_suffix(name).rpartition("_")
        if channel.lower() in WORDS and id and not id.endswith("/"):
            files.setdefault(id, {})[channel] = name
    channels = {channel for own in files.values() for channel in own}
    complete = [id for id, own in files.items() if len(own) == len(channels)]
    n = sum(map(len, files.values()))
    if len(channels) < 2 or n < ENOUGH * len(images) or len(complete) < ENOUGH * len(files):
        return None
    called = {id: next(iter(own.values())) for id, own in files.items()}
    first = {f"{id}{os.path.splitext(file)[1]}": file for id, file in called.items()}
    inside: dict[str, list[str]] = {}
    for name in first:
        folder, _, own_name = name.rpartition("/")
        inside.setdefault(folder, []).append(own_name)
    folders = {
        name: Folder(sorted(inside.get(name, [])), folder.others, folder.folders)
        for name, folder in tree.folders.items()
    }
    return Stacks(
        Tree(tree.root, folders, tree.unreadable), sorted(channels, key=lambda word: WORDS.index(word.lower())), first,
        sorted(files.keys() - set(complete)),
    )  # fmt: skip


def describe(layout: Layout, stacks: Stacks) -> None:
    """Add the stacks to the layout."""
    n = len(stacks.channels)
    layout.data["stack"] = Setting(stacks.channels, f"{count(n, 'file')} per image, one per channel")
    layout.facts["channels"] = f"{n}, in separate files: {', '.join(stacks.channels)}"
    if stacks.incomplete:
        layout.doubt(
            f"{count(len(stacks.incomplete), 'image')} of {len(stacks.first)} without all of them, first "
            f"{some(stacks.incomplete)}: training images go to quarantine, test images stop the run."
        )
