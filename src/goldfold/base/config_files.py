"""Read config files. Imports little, since it runs before Snakemake reads the same files (docs/decisions/013)."""

import argparse
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import yaml

from goldfold.base.errors import ConfigError, shortened
from goldfold.base.plain_yaml import DEEPEST, MOST_BYTES, MOST_VALUES, PlainLoader, explained, load_yaml
from goldfold.base.regular import read_text

LONGEST = 100
"""Longest number, date or word such as ``true``, in characters; longer values are text."""
NO_KEYS = "empty; it must hold keys such as name, data and models"


def read(path: str | Path) -> Any:
    """Plain values of a YAML file.

    Raises:
        ConfigError: the file cannot be read, is not YAML, repeats a key, or holds a number in an ambiguous notation.
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
    """Merge the values of all files, the later overriding the earlier, and of the command line, which override all.

    Raises:
        ConfigError: see `read`; or a file holds no keys.
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
                f"aliases expanded; write it into a config file, without aliases"
            )
    _update(values, typed(dict(given)))
    return values


def typed(value: Any, within: bool = False) -> Any:
    """Convert a value from the command line to what a config file would give.

    Snakemake leaves ``true``, and everything within brackets, as strings. Strings that are not YAML, and strings that
    contain brackets themselves, are left unchanged.
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
    """Number of values within ``value``, aliases expanded; infinite if it is nested too deep or contains itself.

    Args:
        sizes: counts so far, by `id`.
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
    """Exit with one clear error if a ``--configfile`` among Snakemake's arguments cannot be read."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    parser.add_argument("--config", "-C", nargs="*")  # otherwise it would be taken for an abbreviation of the former
    files = parser.parse_known_args(words)[0].configfile
    for path in files:
        try:
            _refuse_target(path, files[0])
            read(path)
        except ConfigError as error:
            sys.exit(f"goldfold: {error}")


def _refuse_target(path: str, first: str) -> None:
    """Refuse a target among the config files: Snakemake takes every word after ``--configfile`` for one.

    Args:
        first: the first of the config files.

    Raises:
        ConfigError: ``path`` lies below ``results/``, or is a later word that is no YAML file.
    """
    is_result = PurePath(path).parts[:1] == ("results",)
    is_word = path != first and PurePath(path).suffix not in (".yaml", ".yml", ".json") and not Path(path).exists()
    if is_result or is_word:
        others = "mine.yaml" if path == first else first
        raise ConfigError(
            f"{path} is not a config file. Snakemake takes every word after --configfile for one; name targets before it: "
            f"snakemake {path} --configfile {others}"
        )


def _update(values: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Merge ``more`` into ``values``, section by section, as Snakemake does."""
    for key, value in more.items():
        own = values.get(key)
        if isinstance(value, Mapping) and isinstance(own, dict):
            values[key] = inner = dict(own)
            _update(inner, value)
        else:
            values[key] = value
