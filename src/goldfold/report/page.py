"""Renders blocks as one self-contained HTML file."""

from collections.abc import Iterator, Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from goldfold.drawing.blocks import Figure, Note, Section
from goldfold.report.headline import Headline


def render(title: str, subtitle: str, head: Headline, notes: Sequence[Note], sections: Sequence[Section]) -> str:
    """Render the page; all text is escaped, since names, ids and paths are user input; only drawings are not."""
    folder = files("goldfold.report")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    template = environment.from_string((folder / "template.html").read_text(encoding="utf-8"))
    return template.render(
        title=title,
        subtitle=subtitle,
        head=head,
        notes=notes,
        sections=sections,
        style=Markup((folder / "style.css").read_text(encoding="utf-8")),
        drawn=Markup,
    )


def figures(sections: Sequence[Section]) -> Iterator[Figure]:
    """Figures that are also written as PNG files."""
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Figure) and block.png:
                yield block
