"""What is tried before the first job: every network with all that trains it, and lists of the folds that are up to date."""

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from goldfold.config import slices, stacked, tried

if TYPE_CHECKING:
    from goldfold.config import Config
    from goldfold.planning.plan import Plan


def trials(config: "Config", plan: "Plan", folds: str | None) -> list[dict[str, Any]]:
    """Arguments of `goldfold.commands.preflight.main`.

    Args:
        folds: folder of the stage folds, if its lists are up to date.
    """
    asked: list[dict[str, Any]] = slices.network_checks(config)
    if folds is None:
        return asked
    by_models = plan.with_metadata or plan.by_metadata
    if by_models and not config.quick:
        asked = [{**one, "folds": folds} for one in asked]
    columns = stacked.columns(config) if (by_models or plan.stacks_metadata) and not config.quick else {}
    asked += [{"folds": folds, "stacked": columns}] if columns else []
    coverages = tried.coverages(config)
    return asked + ([{"folds": folds, "coverages": coverages}] if coverages else [])


def run(asked: list[dict[str, Any]], **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run trials in a process of their own, since callers load no torch; problems are printed to stderr, with status 1.

    Args:
        options: of `subprocess.run`.
    """
    command = [sys.executable, "-m", "goldfold.commands.preflight"]
    return subprocess.run(command, input=json.dumps(asked), text=True, check=False, **options)
