"""Look at a folder of images and write a config for it, with reasons and doubts."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``goldfold init``."""
    parser.add_argument("path", type=Path, help="folder of the data as downloaded, unpacked")
    parser.add_argument("--out", type=Path, default=Path("config.yaml"), help="file to write (config.yaml)")
    parser.add_argument("--name", help="name of the experiment; without it, the folder's")
    parser.add_argument("--force", action="store_true", help="overwrite the file")


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    """Write the config and print what was found."""
    from goldfold.commands.init.command import init  # imports pandas and Pillow, which other commands do not need

    print(init(options.path, options.out, options.name, options.force, options.json))
    return 0
