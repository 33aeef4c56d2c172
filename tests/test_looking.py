"""One look at each file's bytes, remembered."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from goldfold.audit import integrity
from goldfold.base.errors import DataError
from goldfold.images import looking
from goldfold.images.looking import Seen, look_at

pytestmark = pytest.mark.usefixtures("in_tmp")


class Counted:
    """Progress that counts what was looked at."""

    def __init__(self) -> None:
        self.total = self.done = 0

    def __call__(self, total: int, unit: str) -> "Counted":
        self.total += total
        return self

    def advance(self, n: int = 1, note: str = "") -> None:
        self.done += n

    def close(self) -> None:
        pass


def length(path: str) -> Seen:
    return [len(Path(path).read_bytes())]


def killed(path: str) -> Seen:
    os.kill(os.getpid(), signal.SIGKILL)
    return []


def looked(paths: list[str], look: Callable[[str], Seen] = length) -> tuple[int, dict[str, tuple[str, Seen]]]:
    counted = Counted()
    found = look_at(paths, look, 1, counted)
    assert counted.done == counted.total
    return counted.done, found


def write(**contents: bytes) -> list[str]:
    for name, content in contents.items():
        Path(name).write_bytes(content)
    return list(contents)


def test_the_same_bytes_are_looked_at_once_wherever_they_are_and_whenever() -> None:
    names = write(a=b"12", b=b"345", c=b"12")
    n, found = looked([*names, "a", "absent"])
    assert n == 2
    assert {name: seen for name, (_, seen) in found.items()} == {"a": [2], "b": [3], "c": [2]}
    assert looked(names) == (0, found)
    os.utime("a")
    shutil.copy("b", "d")
    n, found = looked([*names, "d"])
    assert (n, found["d"]) == (0, found["b"])
    write(b=b"6789")
    assert looked(names)[0] == 1


def test_another_version_of_code_or_libraries_looks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    names = write(a=b"12", b=b"345")
    looked(names)
    monkeypatch.setattr(looking, "version", lambda name: "0")
    assert looked(names)[0] == 2
    monkeypatch.setattr(looking.source, "digest", lambda reached: "other")
    assert looked(names)[0] == 2
    assert looked(names)[0] == 0


def test_what_was_seen_before_a_kill_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "KEPT_AT_ONCE", 2)
    names = write(**{f"f{number}": bytes(number) for number in range(5)})

    class Stops(Counted):
        def advance(self, n: int = 1, note: str = "") -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look_at(names, length, 1, Stops())
    assert looked(names)[0] == 3


def test_a_process_that_is_killed_is_one_clear_error() -> None:
    with pytest.raises(DataError, match=r"a process that reads images was killed, .* lack of main memory"):
        look_at(write(a=b"1"), killed, 1, Counted())


def seen(name: str) -> Seen:
    """Width, height, channels, bits, kind and reason."""
    found = dict(zip(integrity.COLUMNS, integrity.look(name), strict=True))
    return [found[column] for column in ("width", "height", "channels", "bits", "kind", "reason")]


@pytest.mark.parametrize(
    ("name", "make", "expected"),
    [
        ("grey.png", lambda: Image.fromarray(np.zeros((3, 5), np.uint8)), [5, 3, 1, 8, "PNG", ""]),
        ("deep.png", lambda: Image.fromarray(np.zeros((3, 5), np.uint16)), [5, 3, 1, 16, "PNG", ""]),
        ("bits.png", lambda: Image.fromarray(np.zeros((3, 5), bool)), [5, 3, 1, 1, "PNG", ""]),
        ("alpha.png", lambda: Image.new("RGBA", (5, 3)), [5, 3, 4, 8, "PNG", ""]),
        ("palette.gif", lambda: Image.new("P", (5, 3)), [5, 3, 3, 8, "GIF", ""]),
        ("palette.png", lambda: Image.new("P", (5, 3)), [5, 3, 3, 1, "PNG", ""]),
        ("palette.tif", lambda: Image.new("P", (5, 3)), [5, 3, 3, 8, "TIFF", ""]),
        ("inks.jpg", lambda: Image.new("CMYK", (5, 3)), [5, 3, 3, 8, "JPEG", ""]),
        ("deep.tif", lambda: Image.fromarray(np.zeros((3, 5), np.uint16)), [5, 3, 1, 16, "TIFF", ""]),
        ("wide.png", lambda: Image.new("L", (65_000, 2)), [65_000, 2, 1, 8, "PNG", ""]),
    ],
)
def test_what_is_seen_of_an_image(name: str, make: Any, expected: Seen) -> None:
    make().save(name)
    assert seen(name) == expected


def test_bits_of_a_picture_with_colours_and_a_suffix_that_is_not_true() -> None:
    cv2.imwrite("deep.png", np.zeros((3, 5, 3), np.uint16))
    assert seen("deep.png") == [5, 3, 3, 16, "PNG", ""]
    Image.new("RGB", (5, 3)).save("a.png")
    shutil.copy("a.png", "b.jpg")
    assert seen("b.jpg") == [5, 3, 3, 8, "PNG", ""]
    Path("c.jpg").write_bytes(b"")
    assert seen("c.jpg") == [0, 0, 0, 0, "", "file is empty"]
