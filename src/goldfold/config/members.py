"""Check that dvc.yaml has one stage per model of config.yaml: ``python -m goldfold.config.members``."""

import sys
from pathlib import Path
from typing import Any

import yaml

from goldfold.base.errors import ConfigError
from goldfold.config.ablation import expanded
from goldfold.config.made import snapshots_in


def refuse_other_members(pipeline: dict[str, Any], config: dict[str, Any]) -> None:
    """Compare ``vars: members`` of dvc.yaml with the names of the config's models, in any order.

    Raises:
        ConfigError: they differ; a model without a stage would not be versioned.
    """
    listed: list[str] = next(
        (part["members"] for part in pipeline.get("vars", []) if isinstance(part, dict) and "members" in part), []
    )
    whole = expanded(config)
    names = [*(str(model["name"]) for model in whole["models"]), *snapshots_in(whole)]
    if sorted(map(str, listed)) != sorted(names):
        raise ConfigError(
            f"dvc.yaml: members are [{', '.join(map(str, listed))}], but the models of config.yaml are [{', '.join(names)}]. "
            f"Write in dvc.yaml, below vars: members: [{', '.join(names)}]"
        )


def main() -> None:
    """Exit with status 1 and the reason if they differ."""
    try:
        refuse_other_members(*(yaml.safe_load(Path(name).read_text("utf-8")) for name in ("dvc.yaml", "config.yaml")))
    except ConfigError as error:
        sys.exit(f"goldfold: {error}")


if __name__ == "__main__":
    main()
