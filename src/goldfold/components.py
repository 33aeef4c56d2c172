"""Components as written in a config: a name, alone or with parameters.

>>> parse("focal")
('focal', {})
>>> parse({"focal": {"gamma": 3}})
('focal', {'gamma': 3})

A name is an entry of `goldfold.catalog` or a user-defined ``package.module:function``. `problems` checks parameters
against the function's signature without importing it; `load` imports it.
"""

import importlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from goldfold import catalog, plain_types
from goldfold.base.errors import ConfigError, GoldfoldError, cause, nearest, shown, unknown
from goldfold.base.words import count
from goldfold.signatures import Signature, read

Written = str | Mapping[str, Any]
"""A name, or {name: {parameter: value}}."""
Several = Written | Sequence[Written]
"""One, or a list of them."""
COUNTS = "counts"
"""Parameter of a loss that goldfold sets to the number of labelled training cases of each class in the fold."""
HARD_TARGET = "hard_target"
"""Name of a loss's second parameter, instead of ``target``, that says that the loss takes no soft targets."""
PLACE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Kind:
    """Properties that all components of one kind share."""

    word: str
    """Name of the kind in messages: loss, view."""
    given: tuple[str, ...] = ()
    """Arguments that goldfold passes by position, before those of the config."""
    by_name: frozenset[str] = frozenset()
    """Arguments that goldfold passes by name."""
    filled: frozenset[str] = frozenset()
    """Required arguments that goldfold fills in where the config leaves them out."""
    is_open: bool = False
    """Whether a user-defined task calls it, so that its arguments are not known."""


def parse(written: Written) -> tuple[str, dict[str, Any]]:
    """Name and parameters.

    Raises:
        ConfigError: it is neither a name nor one name with a mapping of parameters.
    """
    if isinstance(written, str):
        return written, {}
    if isinstance(written, Mapping) and len(written) == 1:
        ((name, params),) = written.items()
        if isinstance(name, str) and (params is None or isinstance(params, Mapping)):
            return name, dict(params or {})
    raise ConfigError(f"{shown(written)}: write a name, or {{name: {{parameter: value}}}}")


def name_of(written: Written) -> str:
    """Name of a component, without its parameters."""
    return parse(written)[0]


def summed(wanted: Several) -> list[tuple[Written, float]]:
    """Components of a weighted sum, each with its weight; a parameter ``weight`` belongs to the sum.

    >>> summed({"dice": 0.5, "focal": {"gamma": 3, "weight": 2}})
    [('dice', 0.5), ({'focal': {'gamma': 3}}, 2.0)]
    >>> summed(["ce", {"tversky": {"alpha": 0.7}}])
    [('ce', 1.0), ({'tversky': {'alpha': 0.7}}, 1.0)]
    """
    if isinstance(wanted, str):
        return [(wanted, 1.0)]
    if not isinstance(wanted, Mapping):
        return [part for entry in wanted for part in summed(entry)]
    parts: list[tuple[Written, float]] = []
    for name, value in wanted.items():
        params = dict(value) if isinstance(value, Mapping) else {"weight": 1.0 if value is None else value}
        weight = float(params.pop("weight", 1.0))
        parts.append(({name: params} if params else name, weight))
    return parts


def every(by_family: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Entries of all families of one kind whose names are unique across families: networks, ensemble methods."""
    return {name: place for entries in by_family.values() for name, place in entries.items()}


def short(written: Written) -> Written:
    """The shortest notation of the same component."""
    name, params = parse(written)
    return {name: params} if params else name


def label(written: Written) -> str:
    """Name of a component in tables and files, with its parameters if it has any.

    >>> label({"mine:f_beta": {"beta": 2}})
    'f_beta(beta=2)'
    """
    name, params = parse(written)
    arguments = ", ".join(f"{key}={value}" for key, value in params.items())
    return name.rpartition(":")[2] + (f"({arguments})" if arguments else "")


def place(name: str, entries: Mapping[str, str], word: str) -> str:
    """Definition of a component as ``module:name``.

    Raises:
        ConfigError: there is no component of this name; the message lists the known ones.
    """
    if name in entries:
        return entries[name]
    if ":" in name:
        return name
    raise unknown(word, name, entries)


def problems(written: Written, kind: Kind, entries: Mapping[str, str]) -> Iterator[str]:
    """Problems of a component's name, module and parameters, found without loading it."""
    try:
        name, params = parse(written)
    except ConfigError as error:
        yield str(error)
        return
    if name not in entries and not PLACE.fullmatch(name):
        hints = nearest(name, entries) if kind.is_open else _of_another_kind(name, kind.word) + nearest(name, entries)
        yield f"{hints}allowed: {', '.join([*entries, 'package.module:function'])}"
        return
    try:
        signature = read(place(name, entries, kind.word))
    except ConfigError as error:
        yield str(error)
        return
    yield from _unfit(name, params, signature, kind)


def _of_another_kind(name: str, word: str) -> str:
    """``is a loss; `` for a name of another kind than ``word``, or that two kinds have; empty for other names."""
    kinds = _kinds_of(name)
    if kinds in ([], [word]):
        return ""
    kind, of = (word, " of another task") if word in kinds else (kinds[0], "")
    return f"is {'an' if kind[0] in 'aeiou' else 'a'} {kind}{of}; "


def _kinds_of(name: str) -> list[str]:
    """Kinds of the entries of a name, such as ``loss``; empty if there is none."""
    families = {
        "network": catalog.NETWORKS.values(),
        "loss": catalog.LOSSES.values(),
        "metric": catalog.METRICS.values(),
        "mix": catalog.MIXES.values(),
        "ensemble method": catalog.ENSEMBLES.values(),
        "ensemble step": [*catalog.FUSIONS.values(), *catalog.POSTPROCESSING.values()],
    }
    single = {
        "aggregation of views": catalog.AGGREGATIONS,
        "schedule": catalog.SCHEDULES,
        "hook": catalog.HOOKS,
        "update rule": catalog.UPDATES,
        "sampler": catalog.SAMPLERS,
        "weighting of classes": catalog.CLASS_WEIGHTS,
        "augmentation preset": catalog.PRESETS,
        "augmentation": catalog.AUGMENTATIONS,
        "view": catalog.VIEWS,
        "splitter": catalog.SPLITTERS,
        "pooling": catalog.POOLINGS,
        "data source": catalog.SOURCES,
        "demo data set": catalog.DEMOS,
    }
    found = {**{kind: set().union(*entries) for kind, entries in families.items()}, **single}
    return [kind for kind, names in found.items() if name in names]


def _unfit(name: str, params: Mapping[str, Any], signature: Signature, kind: Kind) -> Iterator[str]:
    if signature.most_positional < len(kind.given):
        given = ", ".join(kind.given)
        article = "an" if kind.word[0] in "aeiou" else "a"
        yield f"takes {count(signature.most_positional, 'argument')}, but {article} {kind.word} is called with ({given})"
        return
    free = [part for part in signature.parameters[len(kind.given) :] if part.name not in kind.by_name]
    names = [part.name for part in free]
    for key in params:
        if key not in names and not (signature.takes_any and key not in kind.given and key not in kind.by_name):
            allowed = ", ".join(names) or "none"
            if key in kind.by_name and any(part.name == key for part in signature.parameters):
                yield f"{name} gets {key!r} from goldfold; remove it"
            else:
                yield f"{name} does not take {key!r}; {nearest(key, names)}its parameters: {allowed}"
    yield from (
        f"{part.name} = {shown(params[part.name])}: must be {wanted}"
        for part in free
        if part.name in params and (wanted := plain_types.problem(params[part.name], part))
    )
    for part in free if not kind.is_open else []:
        if part.is_required and part.name not in params and part.name not in kind.filled:
            yield f"{name} needs {part.name!r}; write {{{name}: {{{part.name}: ...}}}}"


def load(written: Written, entries: Mapping[str, str], word: str) -> Callable[..., Any]:
    """Function, class or object that a component names, with its parameters bound if it has any.

    Raises:
        ConfigError: no such component, or its module cannot be imported here.
    """
    name, params = parse(written)
    found: Callable[..., Any] = at(place(name, entries, word), f"{word} {name!r}")
    return partial(found, **params) if params else found


def at(place: str, what: str) -> Any:
    """Import the object at ``module:name``.

    Args:
        what: name of the object in the error message.

    Raises:
        ConfigError: its module cannot be imported, or has no such name.
    """
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except GoldfoldError:
        raise
    except Exception as error:  # a user-defined module may raise anything
        raise ConfigError(f"{what}: {cause(error)}. The module must be importable where the job runs.") from error
