"""Types of keys that name components: ``focal``, or ``{focal: {gamma: 3}}``, or ``my_module:my_loss``."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from goldfold import catalog
from goldfold.base.errors import ConfigError, shown
from goldfold.components import PLACE, short
from goldfold.config.base import exponent
from goldfold.config.plain import json_value
from goldfold.targets.class_weights import by_name

Written = str | dict[str, Any]
WEIGHTS = "write inverse_frequency, {effective_number: {beta: 0.999}}, or a weight by class, {cat: 2.5}"
PARAMS = {"type": "object", "additionalProperties": True}


def plain_params(value: Any) -> Any:
    """Check that parameters fit into JSON, and convert ``1e-3`` to a number."""
    if isinstance(value, dict):
        return {key: plain_params(part) for key, part in value.items()}
    return [plain_params(part) for part in value] if isinstance(value, list) else json_value(exponent(value))


def component(value: Any) -> Any:
    """Validate a component.

    Raises:
        ValueError: neither a name nor one name with a mapping of parameters.
    """
    if not isinstance(value, str | dict):
        raise PydanticCustomError("string_type", "Input should be a valid string")
    try:
        return short(plain_params(value) if isinstance(value, dict) else value)
    except ConfigError as error:
        what = str(error).rpartition(": write ")[2]  # after the value, which may contain a colon too
        raise ValueError(f"write {what}") from error


def _weighted(value: Any) -> Any:
    """Validate a name, a mapping of name -> weight or parameters, or a list of these."""
    if isinstance(value, list) and value:
        return [_weighted(one) for one in value if not isinstance(one, list)]
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or not value:
        raise ValueError("write a name, {name: weight}, {name: {parameter: value, weight: ...}}, or a list of these")
    return {name: _share(name, plain_params(part)) for name, part in value.items()}


def _share(name: Any, value: Any) -> Any:
    weight = value.get("weight", 1.0) if isinstance(value, dict) else 1.0 if value is None else value
    checked = _weight(name, weight, ", or {parameter: value}")
    return value if isinstance(value, dict) else checked


def _weight(name: Any, value: Any, other: str = "") -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"{name}: {shown(value)} is no weight; give a number above 0{other}")
    return float(value)


def _class_weights(value: Any) -> Any:
    """Validate a name, {name: {parameter: value}}, or {class: weight}."""
    if not isinstance(value, str | dict) or not value:
        raise ValueError(f"{WEIGHTS}, not {shown(value)}")
    if not by_name(value):
        return component(value)
    return {name: _weight(name, exponent(weight)) for name, weight in dict(json_value(value)).items()}


def _loss_weights(value: Any) -> Any:
    """Validate {part of a loss: factor}."""
    if not isinstance(value, dict) or not value:
        raise ValueError(f"write a factor by part of the loss, {{bbox_regression: 2}}, not {shown(value)}")
    return {name: _weight(name, exponent(weight)) for name, weight in dict(json_value(value)).items()}


def named_schema(names: Iterable[str], more: bool = False) -> dict[str, Any]:
    """JSON schema of a component: one of these names, a user-defined one, or either with parameters."""
    known = sorted(set(names))
    own = {"type": "string", "pattern": rf"^{PLACE.pattern}$"}
    name = {"anyOf": [{"type": "string"}] if more or not known else [{"enum": known, "type": "string"}, own]}
    return {"anyOf": [*name["anyOf"], {"maxProperties": 1, "minProperties": 1, **PARAMS}]}


def listed_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """JSON schema of a component, or of a list of components."""
    return {"anyOf": [*schema["anyOf"], {"type": "array", "items": schema, "minItems": 1}]}


def _all(by_target: dict[str, dict[str, str]]) -> list[str]:
    return [name for entries in by_target.values() for name in entries]


LOSS_SCHEMA = named_schema(_all(catalog.LOSSES))
LOSS_SCHEMA["anyOf"][-1] = {"minProperties": 1, "type": "object", "additionalProperties": True}
One = BeforeValidator(component)
Network = Annotated[Written, One, WithJsonSchema(named_schema(_all(catalog.NETWORKS)))]
Aggregation = Annotated[Written, One, WithJsonSchema(named_schema(catalog.AGGREGATIONS))]
Metric = Annotated[Written, One, WithJsonSchema(named_schema(_all(catalog.METRICS)))]
Method = Annotated[Written, One, WithJsonSchema(named_schema(_all(catalog.ENSEMBLES)))]
STEP_SCHEMA = named_schema([*_all(catalog.FUSIONS), *_all(catalog.POSTPROCESSING)])
STEP_SCHEMA["anyOf"][-1] |= {"not": {"required": ["average"]}}  # whose parameters have their own section
Step = Annotated[Written, One, WithJsonSchema(STEP_SCHEMA)]
Optimizer = Annotated[Written, One, WithJsonSchema(named_schema([], more=True))]
Schedule = Annotated[Written, One, WithJsonSchema(named_schema(catalog.SCHEDULES))]
Head = Annotated[Written, One, WithJsonSchema(named_schema(_all(catalog.HEADS)))]
Hook = Annotated[Written, One, WithJsonSchema(named_schema(catalog.HOOKS))]
Update = Annotated[Written, One, WithJsonSchema(named_schema(catalog.UPDATES))]
Sampler = Annotated[Written, One, WithJsonSchema(named_schema(catalog.SAMPLERS))]
Mix = Annotated[Written, One, WithJsonSchema(named_schema(_all(catalog.MIXES)))]
Generator = Annotated[Written, One, WithJsonSchema(named_schema(_all(catalog.GENERATORS)))]
Pooling = Annotated[Written, One, WithJsonSchema(named_schema(catalog.POOLINGS))]
Splitter = Annotated[Written, One, WithJsonSchema(named_schema(catalog.SPLITTERS))]
WEIGHTS_SCHEMA = named_schema(catalog.CLASS_WEIGHTS)
WEIGHTS_SCHEMA["anyOf"][-1] = {"minProperties": 1, "type": "object", "additionalProperties": True}
ClassWeights = Annotated[Written, BeforeValidator(_class_weights), WithJsonSchema(WEIGHTS_SCHEMA)]
LossWeights = Annotated[dict[str, float], BeforeValidator(_loss_weights)]
Loss = Annotated[Written | list[Written], BeforeValidator(_weighted), WithJsonSchema(listed_schema(LOSS_SCHEMA))]
