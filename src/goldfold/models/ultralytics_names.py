"""Names of the detectors of ultralytics, read from its files without importing it."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from goldfold.base.errors import nearest

NO_DETECTORS = re.compile(r"-(cls|seg|obb|pose|depth|sem|world\w*)\b|yoloe|yolov8-rtdetr")
"""Files of its architectures for other tasks, or that need texts."""
MISSING = (
    "network ultralytics needs the library ultralytics, which is not installed: pip install 'goldfold[ultralytics]'. Its licence "
    "is AGPL-3.0, which also asks for the source of what you distribute or serve over a network with it; goldfold itself "
    "(Apache-2.0) does not depend on it. Detectors without it: fcos, retinanet, faster_rcnn, rt_detr_v2, d_fine, detr."
)
"""Message where it is not installed."""
SCALES = re.compile(r"^\s+([a-z]): \[[\d., ]+\]", re.MULTILINE)


def is_installed() -> bool:
    """Return whether the library is there."""
    return find_spec("ultralytics") is not None


@cache
def known() -> tuple[str, ...]:
    """Names of its detectors with their scale, such as ``yolo11n``; empty if it is not installed."""
    spec = find_spec("ultralytics")
    if spec is None or not spec.submodule_search_locations:
        return ()
    files = sorted(Path(spec.submodule_search_locations[0]).glob("cfg/models/*/*.yaml"))
    return tuple(name for file in files if not NO_DETECTORS.search(file.stem) for name in _names(file))


def problem(name: str) -> str:
    """Describe which detectors there are, for a name that is none."""
    hint = nearest(name, known(), n=3)
    return f"{hint}it has {len(known())} detectors with their scales: yolo11n, yolov8s, yolov9c, yolo26n, rtdetr-l, ..."


def _names(file: Path) -> list[str]:
    """Return the name of an architecture by scale: ``yolov8-p2`` gives ``yolov8n-p2`` and so on."""
    version = re.match(r"yolov?\d+(?=$|-)", file.stem)
    scales = SCALES.findall(file.read_text(encoding="utf-8")) if version else []
    if not version or not scales:
        return [file.stem]
    return [f"{version[0]}{scale}{file.stem[version.end() :]}" for scale in scales]
