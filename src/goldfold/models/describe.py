"""Print the input size of timm networks as JSON: ``python -m goldfold.models.describe resnet18 ...``.

Runs in a separate process, so that the caller (the Snakefile) need not load torch.
"""

import json
import sys

from goldfold.models.timm_models import input_size


def main(backbones: list[str]) -> None:
    """Print {backbone: [height, width]}."""
    print(json.dumps({backbone: input_size(backbone) for backbone in backbones}))


if __name__ == "__main__":
    main(sys.argv[1:])
