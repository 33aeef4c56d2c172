"""Fill in the input sizes that the config leaves to the backbone."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from goldfold.base.errors import ConfigError
from goldfold.base.files import write_json
from goldfold.config.root import Config

KNOWN = Path(".goldfold/input_sizes.json")


def with_sizes(config: Config) -> Config:
    """The config with an input size for every model; a backbone's own is asked for once and remembered.

    Raises:
        ConfigError: timm cannot tell.
    """
    asked = sorted({model.backbone for model in config.models if model.image_size_px is None and model.backbone})
    if not asked:
        return config
    sizes = _sizes(asked)
    models = [
        model
        if model.image_size_px is not None
        else model.model_copy(update={"image_size_px": sizes[str(model.backbone)]})
        for model in config.models
    ]
    return config.model_copy(update={"models": models})


def _sizes(backbones: list[str]) -> dict[str, list[int]]:
    """Sizes from the memory of this folder, or from timm in a process of its own: this one loads no torch."""
    release = version("timm")
    try:
        known = json.loads(KNOWN.read_text()).get(release, {})
    except (OSError, ValueError):
        known = {}
    new = [backbone for backbone in backbones if backbone not in known]
    if new:
        command = [sys.executable, "-m", "goldfold.models.describe", *new]
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode:
            reason = answer.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise ConfigError(
                f"models: image_size_px is not set, and timm cannot tell that of {', '.join(new)} ({reason[0]}). Set it."
            )
        known |= json.loads(answer.stdout.splitlines()[-1])
        write_json(KNOWN, {release: known})
    return {backbone: known[backbone] for backbone in backbones}
