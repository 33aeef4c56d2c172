"""Build every network once before any job runs: ``python -m goldfold.models.preflight '<JSON>'``.

A wrong parameter, an own network that cannot be imported or weights that are not to be had then cost seconds, not the
hours until their turn comes. Published weights are fetched into the cache: jobs find them there, on nodes without a
network too, and two jobs never download the same file. A process of its own, so that the Snakefile loads no torch.
"""

import json
import sys
from typing import Any

from goldfold.models import batch_norm, build
from goldfold.models.timm_models import offline
from goldfold.runtime.errors import ConfigError, GoldfoldError

N_CLASSES = 2
"""The number of classes is known only when the data are read; a head fits any."""


OUR_OWN = frozenset(
    {"backbone", "drop_path", "dropout", "image_size", "in_channels", "n_classes", "network", "pretrained"}
)


def check(model: dict[str, Any]) -> bool:
    """Build the network of one entry of the config's models on torch's meta device, which takes no memory.

    Returns:
        Whether its batch normalisation is to be adapted and it has none.

    Raises:
        GoldfoldError: it cannot be built, or its weights are not to be had.
    """
    import torch

    if taken := sorted(OUR_OWN & set(model["params"])):
        raise ConfigError(f"params: {taken[0]!r} is set by goldfold itself; remove it")
    params = dict(model["params"])
    params |= {"backbone": model["backbone"]} if model["backbone"] else {}
    params |= {name: model[name] for name in ("dropout", "drop_path") if model[name]}
    params |= {"n_classes": N_CLASSES, "in_channels": model["channels"], "image_size": tuple(model["size"])}
    with torch.device("meta"):
        network = build(model["network"], **params)
    if model["pretrained"] is True and model["backbone"]:
        try:
            fetch(model["backbone"])
        except Exception as error:
            raise GoldfoldError(offline(model["backbone"], error)) from error
    return model["batch_norm"] == "adapted" and not batch_norm.layers(network)


def fetch(backbone: str) -> None:
    """Bring the weights of a timm backbone into the cache.

    Raises:
        Exception: they cannot be had; the kind depends on what failed.
    """
    import timm
    from timm.models import load_state_dict_from_hf
    from torch.hub import load_state_dict_from_url

    settings = timm.get_pretrained_cfg(backbone)
    if settings is None or not settings.has_weights:
        raise LookupError("timm has no published weights for it")
    if settings.hf_hub_id:
        load_state_dict_from_hf(settings.hf_hub_id, settings.hf_hub_filename or "")
    elif settings.url:
        load_state_dict_from_url(settings.url, map_location="cpu", weights_only=True)


def main(models: list[dict[str, Any]]) -> int:
    """Check each; print one line for each that cannot be used; return the exit status."""
    failed, without = 0, []
    for model in models:
        try:
            without += [model["name"]] * check(model)
        except Exception as error:
            what = str(error) if isinstance(error, GoldfoldError) else f"{type(error).__name__}: {error}"
            print(f"goldfold: models ({model['name']}): {what}", file=sys.stderr)
            failed += 1
    if models and len(without) == len(models):
        print(
            f"goldfold: batch_norm: adapted changes nothing, for no model has batch normalisation ({', '.join(without)}). "
            f"Remove it.",
            file=sys.stderr,
        )
        failed += 1
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
