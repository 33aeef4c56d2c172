"""JSON schema of the config for editors, and its reference page: ``python -m goldfold.config.schema`` writes both."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from goldfold import catalog
from goldfold.catalog import TASKS
from goldfold.components import Kind, every
from goldfold.config import kinds
from goldfold.config.box_sources import Coco, Voc, Yolo
from goldfold.config.data import Folder, Folds, Submission
from goldfold.config.demo import Digits, DigitsInk, DigitsLabels, ScenesBoxes, ScenesMasks
from goldfold.config.learning import MetadataBranch, Model, PseudoLabels, Train
from goldfold.config.mask_sources import Instances, MaskBase, Masks, Rle, Tiles
from goldfold.config.metadata import Metadata
from goldfold.config.own_source import Own
from goldfold.config.roi import BoxesRoi, ColumnRoi, ContourRoi
from goldfold.config.root import Cache, Config, Ensemble, Report, Runtime
from goldfold.config.rounds import Overrides, Round, Teacher
from goldfold.config.sources import DataBase, Stacked
from goldfold.config.table import Csv
from goldfold.signatures import Signature, read
from goldfold.tasks import facts

SCHEMA = Path("workflow/schemas/config.schema.json")
REFERENCE = Path("docs/config.md")
SECTIONS: dict[str, type[BaseModel]] = {
    "Top level": Config,
    "data: every source": DataBase,
    "data: sources of masks": MaskBase,
    "data: images of several files": Stacked,
    "data, source: folder": Folder,
    "data, source: csv": Csv,
    "data.metadata": Metadata,
    "data, source: masks": Masks,
    "data, source: tiles": Tiles,
    "data, source: instances": Instances,
    "data, source: rle": Rle,
    "data, source: coco": Coco,
    "data, source: voc": Voc,
    "data, source: yolo": Yolo,
    "data, source: digits": Digits,
    "data, source: digits_labels": DigitsLabels,
    "data, source: digits_ink": DigitsInk,
    "data, source: scenes_masks": ScenesMasks,
    "data, source: scenes_boxes": ScenesBoxes,
    "data, source: package.module:function": Own,
    "data.roi, method: contour": ContourRoi,
    "data.roi, method: column": ColumnRoi,
    "data.roi, method: boxes": BoxesRoi,
    "folds": Folds,
    "cache": Cache,
    "train": Train,
    "models[]": Model,
    "models[].metadata": MetadataBranch,
    "pseudo_labels": PseudoLabels,
    "rounds[]": Round,
    "rounds[].train": Overrides,
    "rounds[].teacher": Teacher,
    "ensemble": Ensemble,
    "submission": Submission,
    "report": Report,
    "runtime": Runtime,
}
HEAD = """# The config, key by key

Made by `make schema` from the types in `src/goldfold/config/`; do not edit. Unknown keys, wrong types and unknown names
are errors before any job runs. An editor that reads `# yaml-language-server: $schema=workflow/schemas/config.schema.json`
in the first line completes and checks keys as you type.
"""


WORDS = {"None": "null", "True": "true", "False": "false"}
"""Python's words in YAML."""
COMPONENTS = """
## Components and their parameters

Written as `name`, or `{name: {parameter: value}}`; your own as `package.module:function` ([extending.md](extending.md)).
Optimizers are timm's and transforms albumentations', with the parameters of their classes.
"""


def schema() -> str:
    """The JSON schema as text."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"


def reference() -> str:
    """The reference page as Markdown, a table a section."""
    sections = "".join(_section(title, section) for title, section in SECTIONS.items())
    return HEAD + sections + _tasks() + _components()


def _section(title: str, section: type[BaseModel]) -> str:
    above = {name: base for name, base in SECTIONS.items() if base in section.__mro__[1:]}
    known = {name: repr(field) for base in above.values() for name, field in base.model_fields.items()}
    rows = "".join(_row(name, field) for name, field in section.model_fields.items() if known.get(name) != repr(field))
    about = " ".join((section.__doc__ or "").split())
    if above:
        about += f" It also takes the keys of {' and of '.join(f'[{name}](#{_anchor(name)})' for name in above)}."
    table = f"\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}" if rows else ""
    return f"\n## {title}\n\n{about}\n{table}"


def _anchor(title: str) -> str:
    """A heading's place in the page, as GitHub names it."""
    return "".join(sign for sign in title.lower().replace(" ", "-") if sign.isalnum() or sign in "-_")


def _row(name: str, field: FieldInfo) -> str:
    cells = (f"`{name}`", _allowed(name, field), _default(field), " ".join((field.description or "").split()))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _tasks() -> str:
    """What each task knows, from its own facts."""
    parts = []
    for name in TASKS:
        task = facts(name)
        rows = [
            ("data must bring", task.target),
            *((key, ", ".join(f"`{value}`" for value in getattr(task, key)))
              for key in ("metrics", "losses", "methods", "fusions", "postprocessing", "networks", "views")),
            ("`task_params`", ", ".join(f"`{field.name}`" for field in fields(task.settings)) or "none"),
        ]  # fmt: skip
        parts.append(
            f"\n## task: {name}\n\nThe first metric and the first method are the defaults.\n\n| what | |\n|---|---|\n"
        )
        parts.append("".join(f"| {key} | {value} |\n" for key, value in rows))
    return "".join(parts)


def _components() -> str:
    """Parameters of every component of the catalog, from the signatures of its functions."""
    of_tasks = {name: facts(name).target for name in TASKS}
    tables = [
        *((f"Losses of {task}", kinds.LOSSES[target], catalog.LOSSES[target]) for task, target in of_tasks.items()
          if catalog.LOSSES[target]),
        *((f"Metrics of {task}", kinds.METRICS[target], catalog.METRICS[target]) for task, target in of_tasks.items()),
        *((f"Ensemble methods of {task}", kinds.METHODS[target], catalog.ENSEMBLES[target])
          for task, target in of_tasks.items()),
        ("Steps of the ensemble that come first", kinds.STEP, every(catalog.FUSIONS)),
        ("Steps of the ensemble after the first", kinds.STEP, every(catalog.POSTPROCESSING)),
        ("Networks", kinds.NETWORK, every(catalog.NETWORKS)),
        ("Schedules", kinds.SCHEDULE, catalog.SCHEDULES),
        ("Update rules", kinds.UPDATE, catalog.UPDATES),
        ("Hooks", kinds.HOOK, catalog.HOOKS),
        ("Augmentation presets", kinds.AUGMENTATION, catalog.AUGMENTATIONS),
        ("Views", kinds.VIEW, catalog.VIEWS),
        ("Splitters", kinds.SPLITTER, catalog.SPLITTERS),
    ]  # fmt: skip
    return COMPONENTS + "".join(
        f"\n### {title}\n\n| name | parameters | meaning |\n|---|---|---|\n"
        + "".join(_component(name, read(place), kind) for name, place in names.items())
        for title, kind, names in tables
    )


def _component(name: str, signature: Signature, kind: Kind) -> str:
    free = [part for part in signature.parameters[len(kind.given) :] if part.name not in kind.by_name]
    told = [f"{part.name}: {WORDS.get(part.default, part.default)}" if part.default else part.name for part in free]
    told += ["..."] * signature.takes_any
    parameters = ", ".join(f"`{part}`" for part in told) or "none"
    return f"| `{name}` | {parameters.replace('|', chr(92) + '|')} | {signature.about.replace('|', chr(92) + '|')} |\n"


def _allowed(name: str, field: FieldInfo) -> str:
    """What the key takes, in words, from its JSON schema."""

    class Alone(BaseModel):
        value: field.annotation = field  # type: ignore[name-defined]

    schema = Alone.model_json_schema()
    return _words(schema["properties"]["value"])


def _words(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_words(inner) for inner in schema["anyOf"]))
    if "$ref" in schema or "oneOf" in schema:
        return "a section, below"
    if schema.get("type") == "array":
        return f"list of {_words(schema['items'])}"
    names = {"object": "mapping", "boolean": "true or false", "integer": "whole number", "number": "number"}
    word = names.get(schema.get("type", ""), {"string": "text", "null": "nothing"}.get(schema.get("type", ""), "any"))
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return " ".join([word, *limits])


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if isinstance(field.default, BaseModel):
        return "as below"
    return f"`{json.dumps(field.default)}`"


if __name__ == "__main__":
    SCHEMA.write_text(schema())
    REFERENCE.write_text(reference())
