"""Checks of an ablation: variants that would vote, and switches without effect."""

from collections.abc import Iterator, Mapping
from typing import Any

from goldfold.base.errors import ConfigError
from goldfold.catalog import HOOKS, MIXES, SAMPLERS, SCHEDULES, UPDATES
from goldfold.components import Written, parse, summed
from goldfold.config import slices
from goldfold.config.ablation import variant, variants
from goldfold.config.models import MADE_KEYS
from goldfold.config.root import Config
from goldfold.config.step_checks import average_key
from goldfold.signatures import default, read
from goldfold.tasks import facts
from goldfold.tasks.facts import Facts


def check_ablation(config: Config) -> Iterator[str]:
    """Problems of snapshots of variants, and of soups made of variants, with a weight in the ensemble."""
    if not config.ablate:
        return
    apart, weighted = _apart(config), {*config.weighted}
    for index, model in enumerate(config.models):
        key = f"{average_key(config)}.weights.{model.name}"
        if model.name in apart & weighted:
            yield f"{key}: it is of a variant of ablate, which is not part of the ensemble; remove this weight"
        if model.soup is not None and model.name in weighted and (used := [of for of in model.soup.of if of in apart]):
            yield (
                f"models[{index}] ({model.name}).soup.of: {used[0]} is a variant of ablate, which is not part of the ensemble; "
                f"remove it from the soup, or set {key}: 0"
            )


def refuse_idle(config: Config) -> None:
    """Raise ConfigError if a switch changes nothing in any model, or the same as another one; all sizes must be filled in.

    A switch may leave some of several models as they are. A quick run shortens all trainings, and may so make switches equal.
    """
    if not config.ablate or config.quick:
        return
    apart, lines = _apart(config), list[str]()
    bases = [model.name for model in config.models if not model.is_made and model.name not in apart]
    seen = {"": [_settings(config, base) for base in bases]}
    for switch in config.ablate:
        found = [_settings(config, variant(base, switch)) for base in bases]
        same = next((other for other, settings in seen.items() if settings == found), None)
        if same is not None:
            as_before = f"makes the same variants as ablate.{same}" if same else "changes no setting of any model"
            lines.append(f"ablate.{switch}: {as_before}; change it, or remove it")
        seen[switch] = found
    if lines:
        raise ConfigError("\n".join(lines))


def _apart(config: Config) -> set[str]:
    """Names of the variants, and of their snapshots."""
    models = [model.model_dump(include=MADE_KEYS) for model in config.models]
    return {*variants({"ablate": config.ablate, "models": models})}


def _with_defaults(settings: dict[str, Any], task: Facts) -> dict[str, Any]:
    """Settings of a training whose components have all their parameters; optimizers and augmentations stay as written."""
    train = settings["train"]
    loss = [] if train["loss"] is None else summed(train["loss"])
    complete = {
        "schedule": _complete(train["schedule"], SCHEDULES),
        "update": _complete(train["update"], UPDATES),
        "hooks": [_complete(hook, HOOKS) for hook in train["hooks"]],
        "sampler": _complete(train.get("sampler", "shuffled"), SAMPLERS),
        "mix": [_complete(mix, MIXES.get(task.target, {})) for mix in train.get("mix", [])],
        "loss": [(_complete(part, task.losses), weight) for part, weight in loss],
    }
    short = dict.fromkeys(("mixup_alpha", "cutmix_alpha"))  # are in mix
    return {**settings, "train": {**train, **complete, **short}}


def _complete(written: Written, entries: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Name and parameters of a component of the catalog, the defaults included; of any other as written."""
    name, params = parse(written)
    known = read(entries[name]).parameters if name in entries else ()
    defaults = {part.name: default(entries[name], part.name) for part in known if not part.is_required} | params
    return name, {key: [*value] if isinstance(value, tuple) else value for key, value in defaults.items()}


def _settings(config: Config, name: str) -> list[Any]:
    """Settings of a model that its trainings and predictions depend on, but for its name."""
    rounds = [number for number, one in enumerate(config.every_round) if name in (one.models or ())]
    task = facts(config.task)
    trained = [_with_defaults({**slices.learning(config, name, number), "name": ""}, task) for number in rounds]
    return [*trained, slices.network(config, name), slices.resize(config, name)]
