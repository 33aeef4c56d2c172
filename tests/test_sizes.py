"""The input size that a config leaves to the backbone."""

import json
import subprocess
from pathlib import Path

import pytest

from goldfold.base.errors import ConfigError
from goldfold.config import parse

VALUES = {"name": "x", "data": {"source": "digits"}, "models": [{"name": "a", "backbone": "test_vit"}]}


def test_size_is_the_backbones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse(VALUES).models[0].size == (160, 160)


def test_size_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    calls = []

    def answer(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command[-1])
        known = {"test_vit": {"size": [96, 64], "interpolation": "bicubic"}}
        return subprocess.CompletedProcess(command, 0, json.dumps(known) + "\n", "")

    monkeypatch.setattr(subprocess, "run", answer)
    assert [parse(VALUES).models[0].size for _ in range(2)] == [(96, 64)] * 2
    assert calls == ["test_vit"]


def test_network_without_a_size_of_its_own_must_be_given_one() -> None:
    with pytest.raises(
        ConfigError, match=r"models\[0\] \(a\).image_size_px: missing; only a timm backbone has a default size"
    ):
        parse({**VALUES, "models": [{"name": "a", "network": "small_resnet"}]})
