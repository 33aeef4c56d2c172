"""Reading of config files. Loads little, for it runs before Snakemake reads the same files (docs/decisions/013)."""

import argparse
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from goldfold.base.errors import ConfigError, shortened
from goldfold.base.plain_yaml import DEEPEST, MOST_BYTES, MOST_VALUES, PlainLoader, explained, load_yaml
from goldfold.base.regular import read_text

LONGEST = 100
"""Characters of a number, a date or a word such as ``true``; what is longer is text."""
NO_KEYS = "empty; it must hold keys such as name, data and models"


def read(path: str | Path) -> Any:
    """Plain values of a YAML file.

    Raises:
        ConfigError: the file cannot be read, is not YAML, gives a key twice, or holds a number that is not written as one.
    """
    try:
        return load_yaml(read_text(path, MOST_BYTES), PlainLoader)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {explained(error)}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error


def merged(paths: Iterable[str | Path], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of all files, of which the later override the earlier, and of the command line, which override all.

    Raises:
        ConfigError: as `read`, or a file holds no keys.
    """
    values: dict[str, Any] = {}
    for path in paths:
        own = read(path)
        if not isinstance(own, dict) or not own:
            raise ConfigError(f"{path}: {NO_KEYS}")
        _update(values, own)
    for key, value in given.items():
        if _written_out(value, {}) > MOST_VALUES:
            raise ConfigError(
                f"--config {shortened(key)}: nested deeper than {DEEPEST} levels, or more than {MOST_VALUES:,} values, with "
                f"aliases written out; write it into a config file, without aliases"
            )
    _update(values, typed(dict(given)))
    return values


def typed(value: Any, within: bool = False) -> Any:
    """A value of the command line as a config file would have it.

    Snakemake leaves ``true`` text, and all that stands within brackets. What is not YAML is left as it is, as is a text
    with brackets of its own.
    """
    if isinstance(value, dict):
        return {key: typed(part, within=True) for key, part in value.items()}
    if isinstance(value, list):
        return [typed(part, within=True) for part in value]
    if not isinstance(value, str) or len(value) > LONGEST:
        return value
    try:
        known = load_yaml(value, PlainLoader)
    except yaml.YAMLError:
        return value
    if isinstance(known, dict | list):
        return value
    return known if within or known is None or isinstance(known, bool) else value


def _written_out(value: Any, sizes: dict[int, float], level: int = 1) -> float:
    """Number of values within ``value``, with every alias written out; infinite for what is very deep, or within itself.

    Args:
        sizes: numbers of what was counted already, by `id`.
    """
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in sizes:
        sizes[id(value)] = math.inf  # until it is complete
        parts = list(value.values()) if isinstance(value, dict) else value
        if level <= DEEPEST:
            sizes[id(value)] = 1 + sum(_written_out(part, sizes, level + 1) for part in parts)
    return sizes[id(value)]


def refuse_unreadable(words: Sequence[str]) -> None:
    """End the process with one clear error where a ``--configfile`` among Snakemake's arguments cannot be read."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    parser.add_argument("--config", "-C", nargs="*")  # else it would pass for a short form of the former
    for path in parser.parse_known_args(words)[0].configfile:
        try:
            read(path)
        except ConfigError as error:
            sys.exit(f"goldfold: {error}")


def _update(values: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Put ``more`` into ``values``, section by section, as Snakemake does."""
    for key, value in more.items():
        own = values.get(key)
        if isinstance(value, Mapping) and isinstance(own, dict):
            values[key] = inner = dict(own)
            _update(inner, value)
        else:
            values[key] = value
