"""Check that dvc.yaml has one stage per model of config.yaml: ``python -m goldfold.config.members``."""

import sys
from pathlib import Path
from typing import Any

import yaml

from goldfold.base.errors import ConfigError
from goldfold.config.ablation import expanded
from goldfold.config.load import load
from goldfold.config.made import snapshots_in
from goldfold.planning.plan import Plan, plan_of


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


def refuse_unversioned_detector(pipeline: dict[str, Any], config: dict[str, Any]) -> None:
    """Refuse a detector whose results no stage of dvc.yaml versions: a clone would have to train it again.

    Raises:
        ConfigError: there is one.
    """
    roi = (config.get("data") or {}).get("roi") or {}
    if roi.get("method") != "detector":
        return
    outs = [str(next(iter(out)) if isinstance(out, dict) else out) for out in pipeline["stages"]["folds"]["outs"]]
    if lacking := [place for place in _kept(plan_of(load(roi["config"]))) if place not in outs]:
        lines = "\n".join(f"      - {place}: {{persist: true}}" for place in lacking)
        raise ConfigError(
            f"dvc.yaml: results of the detector are not versioned. Write in dvc.yaml, below stages: folds: outs:\n{lines}"
        )


def _kept(plan: Plan) -> list[str]:
    """Files and folders directly below the results of a plan, without the cache."""
    stages = [stage for stage in plan.stages() if stage not in ("demo", "cache")]
    made = [path for stage in stages for job in plan.jobs(stage) for path in plan.outputs(job)]
    inside = [Path(path).relative_to(plan.results) for path in made if Path(path).is_relative_to(plan.results)]
    return [f"{plan.results}/{name}" for name in dict.fromkeys(path.parts[0] for path in inside)]


def main() -> None:
    """Exit with status 1 and the reason if they differ, or results of a detector are not versioned."""
    try:
        pipeline, config = (yaml.safe_load(Path(name).read_text("utf-8")) for name in ("dvc.yaml", "config.yaml"))
        refuse_other_members(pipeline, config)
        refuse_unversioned_detector(pipeline, config)
    except ConfigError as error:
        sys.exit(f"goldfold: {error}")


if __name__ == "__main__":
    main()
