"""Print the input size and interpolation of timm networks as JSON: ``python -m goldfold.models.describe resnet18 ...``.

Runs in a separate process, so that the caller (the Snakefile) need not load torch.
"""

import json
import sys

from goldfold.models.timm_models import input_size, interpolation


def main(backbones: list[str]) -> None:
    """Print {backbone: {"size": [height, width], "interpolation": name}}."""
    print(json.dumps({one: {"size": input_size(one), "interpolation": interpolation(one)} for one in backbones}))


if __name__ == "__main__":
    main(sys.argv[1:])
