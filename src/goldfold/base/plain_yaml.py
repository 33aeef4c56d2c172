"""YAML without its pitfalls: bounded depth and alias expansion, and the line number in every error."""

import re
from collections.abc import Hashable
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError
from yaml.scanner import ScannerError

from goldfold.base.errors import shortened, shown

DEEPEST = 50
"""Levels of sections and lists; goldfold's own config has seven."""
MOST_VALUES = 200_000
"""Number of values, aliases expanded."""
MOST_BYTES = 4_000_000
PLAIN_NUMBER = re.compile(
    r"[-+]?(0|[1-9][0-9]*|0x[0-9a-fA-F]+|0b[01]+|([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?|\.(inf|Inf|INF))|\.(nan|NaN|NAN)"
)
"""Numbers that all YAML parsers agree on: no ``1_1`` for 11, no ``010`` for 8, no ``1:30`` for 90."""
MISFITS = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError)
"""Raised by PyYAML for a value that does not fit its tag, such as ``2020-99-99`` or ``!!int abc``."""
MERGE = "tag:yaml.org,2002:merge"
QUOTES = "if it is text, put it in quotes"
"""Advice in errors that a name such as ``@a``, ``*a`` or ``a: b`` may have caused."""


class Bounded(yaml.composer.Composer):
    """Composer that refuses deep nesting, recursive aliases, alias bombs, and strings that would lose their first word:
    ``&a b`` and ``! b`` are ``b``.

    Raises:
        ComposerError: one of these.
    """

    _depth: int
    _sizes: dict[int, int]
    """Number of values of each complete node, aliases expanded."""
    _named: dict[str, Any]
    """Position of each scalar with an anchor and no alias so far."""

    def compose_document(self) -> Any:
        """Root node of the next document."""
        self._depth, self._sizes, self._named = 0, {}, {}
        root = super().compose_document()
        for name, mark in self._named.items():
            raise ComposerError(None, None, f"anchor {shown('&' + name)} has no alias; remove it; {QUOTES}", mark)
        return root

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Node of the next event."""
        event = self.peek_event()  # type: ignore[attr-defined]
        mark = event.start_mark
        self._depth += 1
        if self._depth > DEEPEST:
            raise ComposerError(None, None, f"nested deeper than {DEEPEST} levels; remove some", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(event, yaml.ScalarEvent) and event.tag == "!":
            raise ComposerError(None, None, f"found the sign '!'; {QUOTES}", mark)
        if isinstance(event, yaml.ScalarEvent) and event.anchor:
            self._named[event.anchor] = mark
        if isinstance(event, yaml.AliasEvent):
            self._named.pop(event.anchor or "", None)
            if id(node) not in self._sizes:
                name = shown(event.anchor)
                raise ComposerError(
                    None, None, f"alias {name} is used inside the value that it refers to; write the value out", mark
                )
            return node
        size = self._sizes[id(node)] = sum((self._sizes[id(child)] for child in _children(node)), start=1)
        if size > MOST_VALUES:
            raise ComposerError(
                None, None, f"more than {MOST_VALUES:,} values, with aliases expanded; remove some", mark
            )
        return node


class PlainLoader(Bounded, yaml.SafeLoader):
    """Loader of plain values: no repeated key (YAML would keep the last), and no number in an ambiguous notation.

    Raises:
        yaml.YAMLError: the text breaks one of these.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Value of a node."""
        _refuse_mark(node)
        _refuse_odd_number(node)
        if node.tag not in self.yaml_constructors:
            own = node.tag.rpartition(":")[2]
            sign = shown(node.value if own in ("value", "merge") else own if own.startswith("!") else f"!!{own}")
            raise ConstructorError(None, None, f"{sign} has a special meaning in YAML; {QUOTES}", node.start_mark)
        try:
            return super().construct_object(node, deep)
        except MISFITS as error:
            kind = node.tag.rpartition(":")[2]
            text = f"{_written(node)} is read as {kind} but is not a valid one; correct it, or put it in quotes"
            raise ConstructorError(None, None, text, node.start_mark) from error

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Hashable, Any]:
        """Mapping of a node, without repeated keys."""
        if isinstance(node, yaml.MappingNode):
            refuse_repeated_keys(self, node)
        return super().construct_mapping(node, deep)  # type: ignore[arg-type]


class TextLoader(Bounded, yaml.BaseLoader):
    """Loader of every value as a string, without repeated keys: names such as ``no`` and ``01`` are kept as written."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Mapping of a node, without repeated keys."""
        refuse_repeated_keys(self, node)
        return super().construct_mapping(node, deep)


def refuse_repeated_keys(loader: Any, node: yaml.MappingNode) -> None:
    """Refuse a section that repeats a key.

    Raises:
        ConstructorError: a key is repeated.
    """
    seen: set[Hashable] = set()
    for key, _ in node.value:
        value = loader.construct_object(key, deep=True) if key.tag != MERGE else None
        if isinstance(value, Hashable) and key.tag != MERGE:
            if value in seen:
                text = f"key {shown(value)} is given twice in one section; remove one"
                raise ConstructorError(None, None, text, key.start_mark)
            seen.add(value)


def load_yaml(text: str, loader: type[yaml.BaseLoader] | type[yaml.SafeLoader]) -> Any:
    """Values of a YAML text.

    Raises:
        YAMLError: the text is not valid; see `explained`.
    """
    try:
        begun = loader(text)
    except ReaderError as error:
        mark = yaml.Mark("", 0, text.count("\n", 0, error.position), 0, None, 0)
        raise ScannerError(None, None, f"found the character U+{ord(text[error.position]):04X}", mark) from error
    try:
        return begun.get_single_data()
    except MISFITS as error:
        raise ScannerError(None, None, "found an escape that is not a character", begun.get_mark()) from error


def explained(error: yaml.YAMLError) -> str:
    """Message for a YAML error, with its line."""
    mark, begun = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    mark = mark or begun
    line = f"line {mark.line + 1}" if mark else "the file"
    parts = (getattr(error, "context", None), getattr(error, "problem", None))
    what = shortened(" ".join(filter(None, parts)) or str(error))
    if isinstance(error, ComposerError | ConstructorError):
        return f"{line}: {what}" + f"; {QUOTES}" * ("undefined alias" in what)
    if mark and begun and begun.line < mark.line:
        what += f"; it begins in line {begun.line + 1}"
    return f"not valid YAML: {line}: {what}; " + ("indent with blanks, not with tabs" if "'\\t'" in what else QUOTES)


def _children(node: Any) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _written(node: yaml.Node) -> str:
    return shown(node.value) if isinstance(node, yaml.ScalarNode) else "this value"


def _refuse_mark(node: yaml.Node) -> None:
    """Refuse a plain ``=`` or ``<<`` as a value or in a list: they have a special meaning in YAML 1.1."""
    if isinstance(node, yaml.ScalarNode) and node.tag.endswith((":value", ":merge")):
        raise ConstructorError(
            None, None, f"{_written(node)} is special syntax of YAML: put it in quotes", node.start_mark
        )


def _refuse_odd_number(node: yaml.Node) -> None:
    """Refuse ``1_1``, which YAML 1.1 reads as 11, ``010`` (8) and ``1:30`` (90): ids and dates look like that."""
    is_number = isinstance(node, yaml.ScalarNode) and node.style is None and node.tag.endswith((":int", ":float"))
    if (
        is_number
        and not PLAIN_NUMBER.fullmatch(node.value)
        and re.fullmatch(r"[-+]?[.0-9][-+.0-9a-fA-Fx_:]*", node.value)
    ):
        text = (
            f"{_written(node)} is read as another number by YAML: put it in quotes, or write the number in plain digits"
        )
        raise ConstructorError(None, None, text, node.start_mark)
