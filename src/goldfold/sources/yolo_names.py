"""Names of YOLO's class numbers, from ``data.yaml`` or a list."""

import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from goldfold.base.errors import DataError, shown
from goldfold.base.plain_yaml import MOST_BYTES, TextLoader, explained, load_yaml
from goldfold.base.regular import read_text

KEY = "data.names"
QUOTE = "'"
NUMBER = re.compile(r"0|[1-9][0-9]{0,3}")


def read_yaml(path: str) -> dict[str, Any] | None:
    """The mapping in ``data.yaml``, every value as text; None for another file, such as a list of names.

    Raises:
        DataError: the file cannot be read.
    """
    if Path(path).suffix.lower() not in (".yaml", ".yml"):
        return None
    try:
        content = load_yaml(read_text(path, MOST_BYTES), TextLoader)
    except yaml.YAMLError as error:
        raise DataError(f"{KEY}: {path}: {explained(error)}. Correct the file.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{KEY}: {path}: {error}. Correct the file.") from error
    return content if isinstance(content, dict) else None


def n_pose(content: dict[str, Any]) -> int | None:
    """Number of fields of a line with keypoints, from ``kpt_shape`` (keypoints, values of each) in ``data.yaml``, or None."""
    shape = content.get("kpt_shape")
    if not isinstance(shape, list) or not all(isinstance(part, str) and NUMBER.fullmatch(part) for part in shape):
        return None
    return 5 + math.prod(map(int, shape)) if len(shape) == 2 else None


def read_names(path: str) -> dict[int, str]:
    """Name of each class number: in YAML the key ``names``, a list or {number: name}, in other files one name per line.

    Raises:
        DataError: the file cannot be read, or does not give every number a distinct name.
    """
    try:
        text = read_text(path, MOST_BYTES)
        is_yaml = Path(path).suffix.lower() in (".yaml", ".yml")
        named = _of_yaml(load_yaml(text, TextLoader), path) if is_yaml else dict(enumerate(text.rstrip().splitlines()))
    except OSError as error:
        raise DataError(
            f"{KEY}: cannot read {path}: {error}. Name data.yaml, or a text file with one name per line."
        ) from error
    except yaml.YAMLError as error:
        raise DataError(f"{KEY}: {path}: {explained(error)}. Correct the file.") from error
    except ValueError as error:
        raise DataError(f"{KEY}: {path}: {error}. Correct the file.") from error
    names = {number: name.strip() if isinstance(name, str) else name for number, name in named.items()}
    counts = Counter(name for name in names.values() if isinstance(name, str))
    for number, name in names.items():
        if not isinstance(name, str) or not name:
            raise DataError(f"{KEY}: {path}: class {number} has no name. Give it one.")
        if counts[name] > 1:
            raise DataError(f"{KEY}: {path}: two classes are called {name!r}. Give each its own name.")
    if not names:
        raise DataError(f"{KEY}: {path} names no classes. Write one name per line, or `names: [...]` in YAML.")
    return names


def _of_yaml(content: Any, path: str) -> dict[int, Any]:
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        named = dict(enumerate(names))
    elif isinstance(names, dict):
        odd = [key for key in names if not isinstance(key, str) or not NUMBER.fullmatch(key)]
        if odd:
            raise ValueError(f"names has the key {shown(odd[0])}, not a class number")
        named = {int(key): name for key, name in names.items()}
    else:
        raise ValueError("it has no `names`, a list or {number: name}")
    if str(content.get("nc", len(named))) != str(len(named)):
        raise ValueError(f"nc is {shown(content['nc']).strip(QUOTE)}, and names has {len(named)}")
    return named
