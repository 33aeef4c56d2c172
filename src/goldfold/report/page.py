"""From blocks to one HTML file that needs nothing else."""

from collections.abc import Iterator, Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from goldfold.drawing.blocks import Figure, Note, Section
from goldfold.report.headline import Headline


def render(title: str, subtitle: str, head: Headline, notes: Sequence[Note], sections: Sequence[Section]) -> str:
    """The page. Every text is escaped, since names, ids and paths are the user's; only drawings are taken as they are."""
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
    """Figures that have a file beside the page."""
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Figure) and block.png:
                yield block
