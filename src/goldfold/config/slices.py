"""The smallest part of the config that each stage depends on, as plain builtins, which Snakemake tracks."""

from typing import Any

from goldfold.config.root import Config


def manifest(config: Config) -> dict[str, Any]:
    """All that the manifest depends on besides raw data."""
    data = config.data.model_dump(exclude={"channels", "shards", "test_answers"})
    taken_out = {key: data.pop(key) for key in ("classes", "on_bad_image", "on_missing_image", "on_missing_label")}
    sample = config.submission.sample
    metric = config.metric if sample is not None or config.metric == "quadratic_kappa" else None
    submission = config.submission.model_dump(exclude={"sample"})
    return {
        "source": data,
        "task": config.task,
        "metric": metric,
        "sample": sample,
        "submission": submission,
        **taken_out,
    }


def learning(config: Config, name: str) -> dict[str, Any]:
    """All of a model's settings that its training depends on."""
    model = _model(config, name)
    return {**model.model_dump(exclude={"image_size_px", "resize"}), "size": list(model.size)}


def network(config: Config, name: str) -> dict[str, Any]:
    """All of a model's settings that its prediction depends on."""
    model = _model(config, name)
    return {**model.model_dump(include={"network", "backbone", "params"}), "size": list(model.size)}


def cache_spec(config: Config, name: str) -> str:
    """Name of the cache that holds images as a model takes them; models of one size share it."""
    model = _model(config, name)
    return f"{model.size[0]}x{model.size[1]}-{model.resize}"


def runtime(config: Config) -> dict[str, Any]:
    """What changes the bytes of a model; the number of loader processes does not."""
    return config.runtime.model_dump(include={"device", "precision", "torch_threads"})


def report(config: Config) -> dict[str, Any]:
    """All that the report depends on besides its inputs."""
    shown = {**config.report.model_dump(), "name": config.name, "task": config.task, "metric": config.metric}
    return {**shown, "answers": config.data.test_answers, "settings": config.model_dump(mode="json")}


def network_checks(config: Config) -> list[dict[str, Any]]:
    """All that is needed to build each model once, before anything is run."""
    return [{**learning(config, model.name), "channels": config.data.channels} for model in config.models]


def _model(config: Config, name: str) -> Any:
    return next(model for model in config.models if model.name == name)
