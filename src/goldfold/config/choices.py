"""Defaults that depend on the task."""

from goldfold.config.root import Config, Ensemble
from goldfold.tasks import facts


def with_choices(config: Config) -> Config:
    """The config with the task's metric, ensemble method and policies where the user sets none."""
    task = facts(config.task)
    data = config.data.model_copy(update={"on_missing_label": config.data.on_missing_label or task.on_missing_label})
    ensemble = config.average if isinstance(config.ensemble, Ensemble) else config.ensemble
    return config.model_copy(
        update={"data": data, "ensemble": ensemble, "metric": config.metric or next(iter(task.metrics))}
    )
