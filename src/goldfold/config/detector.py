"""The detector of a run in two stages: its own config, named by `data.roi` of the first one."""

from collections.abc import Iterator
from typing import Any

from goldfold.base.config_files import read
from goldfold.base.errors import ConfigError, nearest
from goldfold.config.fold_checks import no_file
from goldfold.config.roi import DetectorRoi
from goldfold.config.root import Config
from goldfold.planning.runs import Member

KEY = "data.roi"
FOR_NEW = ("none", "contour")
"""Methods by which a detector's own images may be cropped: those that need nothing but the image."""


def detector_values(config: Config) -> dict[str, Any]:
    """Values of the config of a detector, and ``origin``, its file, as `goldfold.config.parse` takes them; empty without one.

    A quick run trains a quick detector, and both check versions of libraries alike.

    Raises:
        ConfigError: there is no such file, or its own images are cropped by a detector.
    """
    roi = config.data.roi
    if not isinstance(roi, DetectorRoi):
        return {}
    if reason := no_file(roi.config):
        raise ConfigError(f"{KEY}.config = {roi.config!r}: {reason}; name the config file of the detector")
    values = read(roi.config)
    _refuse_stages(values, roi.config)
    shared = {"quick": config.quick, "strict_versions": config.strict_versions}
    if isinstance(values, dict):
        values = {**values, **{key: True for key, is_set in shared.items() if is_set}}
    return {"values": values, "origin": roi.config}


def with_detector(config: Config, detector: Config) -> Config:
    """The config with that of its detector.

    Raises:
        ConfigError: the detector does not fit it.
    """
    if problems := list(_problems(config, detection(config), detector)):
        raise ConfigError("\n".join(problems))
    config._detector = detector
    return config


def detection(config: Config) -> DetectorRoi:
    """How images are cropped by a detector."""
    assert isinstance(config.data.roi, DetectorRoi)
    return config.data.roi


def member_of(detector: Config, name: str) -> Member:
    """A member of the detector by its name, or by that of its model if this has one seed.

    Raises:
        ConfigError: there is none of that name.
    """
    members = detector.grid.members
    of_model = [member for member in members if member.model == name]
    found = [member for member in members if member.name == name] or (of_model if len(of_model) == 1 else [])
    if not found:
        names = [member.name for member in members]
        models = [one.model for one in members if sum(other.model == one.model for other in members) == 1]
        known = [*models, *names]
        raise ConfigError(
            f"{KEY}.from = {name!r}: the detector has no such member; {nearest(name, known)}allowed: {', '.join(known)}"
        )
    return found[0]


def _refuse_stages(values: Any, path: str) -> None:
    """Refuse a detector that is cropped by a detector itself, before that one is read: it may be this config."""
    data = values.get("data") if isinstance(values, dict) else None
    roi = data.get("roi") if isinstance(data, dict) else None
    if isinstance(roi, dict) and roi.get("method") == "detector":
        raise ConfigError(
            f"{KEY}.config = {path!r}: its own images are cropped by a detector ({roi.get('config')!r}); there are two stages at "
            f"most; set its {KEY}.method to {' or '.join(FOR_NEW)}"
        )


def _problems(config: Config, roi: DetectorRoi, detector: Config) -> Iterator[str]:
    if detector.task != "detection":
        yield f"{KEY}.config = {roi.config!r}: its task is {detector.task!r}; a detector has task: detection"
        return
    if detector.name == config.name:
        yield f"{KEY}.config = {roi.config!r}: has the name {config.name!r} of this config; give each its own results"
        return
        return
    if detector.data.roi.method not in FOR_NEW:
        yield (
            f"{KEY}.config = {roi.config!r}: its own images are cropped by method {detector.data.roi.method!r}, for which images "
            f"that it does not know have no boxes; set its {KEY}.method to {' or '.join(FOR_NEW)}"
        )
    if both := sorted({*config.data.demo_files} & {*detector.data.demo_files}):
        yield f"{KEY}.config = {roi.config!r}: both configs write {both[0]}; set another data.directory in one of them"
    if config.data.channels != detector.data.channels:
        n = detector.data.channels
        yield f"{KEY}.config = {roi.config!r}: its images have data.channels: {n}, those of this config {config.data.channels}"
    if roi.member is not None:
        try:
            member = member_of(detector, roi.member)
        except ConfigError as error:
            yield str(error)
        else:
            if not detector.average.weights.get(member.model, 1):
                yield f"{KEY}.from = {roi.member!r}: has weight 0 in the detector's ensemble; give it a weight, or name another"
