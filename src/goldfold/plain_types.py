"""Values of parameters that are numbers or switches, by the annotations in a signature."""

import ast
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goldfold.signatures import Parameter

WANTED = {
    frozenset({"int"}): "a whole number",
    frozenset({"float"}): "a number",
    frozenset({"int", "float"}): "a number",
    frozenset({"bool"}): "true or false",
}
"""What is asked for, by the types that an annotation allows besides None."""
MOST_SHOWN = 1e9
"""Larger whole numbers are not written out in messages."""
KINDS: dict[str, type | tuple[type, ...]] = {"a whole number": int, "a number": (int, float), "true or false": bool}


def problem(value: Any, part: "Parameter") -> str:
    """Return what a value must be if it is not; empty if it is, or if the annotation is none of a number or a switch.

    The default is always allowed, whatever its type, and None if the annotation or the default says so.
    """
    types = allowed(part.annotation)
    wanted = WANTED.get(types - {"None"}, "")
    if not wanted or repr(value) == part.default or (value is None and "None" in types):
        return ""
    if isinstance(value, KINDS[wanted]) and isinstance(value, bool) == (wanted == "true or false"):
        return ""
    is_almost_whole = (
        wanted == "a whole number" and isinstance(value, float) and abs(value) < MOST_SHOWN and value % 1 == 0
    )
    return f"{wanted}, written {int(value)}" if is_almost_whole else wanted


@cache
def allowed(annotation: str) -> frozenset[str]:
    """Source texts of the types that an annotation allows: int and None for ``int | None`` and ``Optional[int]``.

    Args:
        annotation: source text; of a text that is no expression nothing is known, as of an empty one.
    """
    text = annotation.strip()
    return frozenset(_alternatives(ast.parse(text, mode="eval").body)) if _is_expression(text) else frozenset()


def _alternatives(annotation: ast.expr) -> Iterator[str]:
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            parts = [left, right]
        case ast.Subscript(value=ast.Name(id="Optional") | ast.Attribute(attr="Optional"), slice=inner):
            parts = [inner, ast.Constant(None)]
        case ast.Subscript(value=ast.Name(id="Union") | ast.Attribute(attr="Union"), slice=ast.Tuple(elts=parts)):
            pass
        case ast.Constant(value=str(text)) if _is_expression(text.strip()):
            parts = [ast.parse(text.strip(), mode="eval").body]
        case _:
            yield ast.unparse(annotation)
            return
    for part in parts:
        yield from _alternatives(part)


def _is_expression(text: str) -> bool:
    try:
        return bool(ast.parse(text, mode="eval"))
    except (SyntaxError, ValueError):
        return False
