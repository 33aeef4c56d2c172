"""The library ultralytics (AGPL-3.0), an extra that goldfold does not depend on: imported on demand, and kept to itself.

With its own defaults it looks for a network connection and writes settings to the home folder when it is imported, reports
each training to its makers, and may install packages. Here it does none of this.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from goldfold.base.errors import ConfigError, cause
from goldfold.models.ultralytics_names import MISSING

ENVIRONMENT = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
"""Variables that it reads when it is imported."""
REPORTS = ("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb", "vscode_msg", "openvino_msg")
"""Its settings that send or show something to others."""


def library() -> Any:
    """Import the library, offline, with settings in a temporary folder of this process.

    Raises:
        ConfigError: it is not installed, or cannot be imported.
    """
    try:
        with _environment():
            import ultralytics
            from ultralytics.utils import SETTINGS
    except ModuleNotFoundError as error:
        if error.name != "ultralytics":
            raise ConfigError(f"ultralytics cannot be imported: {cause(error)}. Install it again.") from error
        raise ConfigError(MISSING) from error
    dict.update(SETTINGS, dict.fromkeys(REPORTS, False))  # its own update would write the file
    logging.getLogger("ultralytics").setLevel(logging.WARNING)
    return ultralytics


@contextmanager
def _environment() -> Iterator[None]:
    """Set its variables within the block; those that it sets itself, such as the number of threads, do not stay."""
    before, folder = dict(os.environ), tempfile.mkdtemp(prefix="goldfold-ultralytics-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ.update(ENVIRONMENT, YOLO_CONFIG_DIR=folder)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def weights(path: Path) -> Mapping[str, Any]:
    """Read the weights of one of its checkpoints, which hold a whole model, without running code that it may contain.

    Returns:
        Tensors by their names in `goldfold.models.ultralytics_networks.Detector`.

    Raises:
        ConfigError: the library is not installed, or the file holds something else than its models.
    """
    library()
    from ultralytics.nn.tasks import torch_safe_load

    try:
        content, _ = torch_safe_load(path, safe_only=True)
        model = content.get("ema") or content["model"]
        return {f"model.{name}": value for name, value in model.float().state_dict().items()}
    except Exception as error:
        raise ConfigError(
            f"pretrained: {path} cannot be read as a checkpoint of ultralytics: {cause(error)}. Use one that its training wrote."
        ) from error
