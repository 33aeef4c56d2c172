"""`goldfold why` and `goldfold verify` on records and plans made by hand; tests/test_workflow.py has them on a real run."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from goldfold import cli
from goldfold.base.errors import DataError
from goldfold.base.files import write_json
from goldfold.commands import reasons, why
from goldfold.commands.verify import verify
from goldfold.lineage import contents, dates, provenance, recipes, staleness
from goldfold.lineage.staleness import Cause

OF = ["train", "classification", "small_resnet"]


def recipe_of(**settings: Any) -> dict[str, Any]:
    return {"settings": settings, "data": {}, "code": {"of": OF, "digest": provenance.source_digest(*OF)}}


def digests(paths: list[str]) -> dict[str, str]:
    return {str(path): contents.digest(path) for path in paths}


def made(
    folder: str, rule: str, recipe: dict[str, Any], inputs: list[str], **changes: Any
) -> tuple[str, dict[str, Any]]:
    """A job's output and record on disk, and its entry in a plan."""
    out, name = f"{folder}/out.bin", f"{folder}/run.json"
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(out).write_text(rule)
    record = {
        "rule": rule, "wildcards": {"model": "a", "round": "0", "fold": "1", "seed": "0"}, "recipe": recipe,
        "inputs": digests(inputs), "outputs": digests([out]), "files": {}, "logs": [], **contents.stamps([out]),
        "code": provenance.code_of(recipe), "versions": provenance.versions(), "git": {}, "hardware": {},
        "started": 1.0, "finished": 3.0, "seconds": 2.0, **changes,
    }  # fmt: skip
    write_json(name, record)
    path = recipes.keep(name, recipe)
    entry = {"rule": rule, "wildcards": record["wildcards"], "record": name, "recipe": path, "forced": False}
    return name, {**entry, "inputs": [path, *inputs], "outputs": [out, name]}


def explained(entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> why.Job:
    monkeypatch.setattr(reasons, "_planned", lambda words: [entry])
    return reasons.jobs([])[0]


@pytest.fixture(autouse=True)
def own_memory() -> None:
    contents.memory.cache_clear()  # of the folder of the test before


@pytest.mark.usefixtures("in_tmp")
def test_a_setting_is_told_old_and_new_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    old = recipe_of(models=[{"name": "a", "lr": 0.1}, {"name": "b", "lr": 0.1}], tta=["identity"])
    new = recipe_of(models=[{"name": "a", "lr": 0.1}, {"name": "b", "lr": 0.2}], tta=["identity", "hflip"])
    name, entry = made("results/x/train", "train", old, [])
    entry["recipe"] = recipes.keep(name, new)
    job = explained(entry, monkeypatch)
    assert list(map(str, job.causes)) == ["models.b.lr: 0.1 -> 0.2", 'tta: ["identity"] -> ["identity", "hflip"]']
    assert job.seconds == 2.0
    text = why.as_text([job])
    assert text.startswith("1 job would run, 1 of them trainings: about 2 s in sequence, by their last durations.")
    assert "train model a round 0: fold1 seed0" in text


def test_long_settings_are_shown_from_their_first_difference_on() -> None:
    views = [f"view{number}" for number in range(20)]
    told = str(Cause("setting", "tta", views, [*views[:-1], "hflip"]))
    assert told == 'tta: ...view17", "view18", "view19"] -> ...view17", "view18", "hflip"]'
    assert str(Cause("setting", "x", "a" * 70, "b")) == f"x: {'a' * 57}... -> b"
    assert str(Cause("setting", "x", views, None)).endswith("... -> none")


def test_a_stage_that_runs_first_is_not_said_to_be_made_again() -> None:
    job = why.Job("train", {"model": "a"}, [Cause("new", "never made before")], after=["folds", "cache"])
    assert "  uses output of folds, cache, which run first" in why.as_text([job])


@pytest.mark.usefixtures("in_tmp")
def test_code_is_told_by_file(monkeypatch: pytest.MonkeyPatch) -> None:
    table = provenance.code_table(*OF)
    file = next(name for name in table if name.endswith("engine/loop.py"))
    gone = {"src/goldfold/engine/old.py": "1234567890"}
    recipe = recipe_of()
    before = {**recipe, "code": {**recipe["code"], "digest": "other"}}
    name, entry = made("results/x/train", "train", before, [], code={**table, file: "abcdefghij", **gone})
    entry["recipe"] = recipes.keep(name, recipe)
    told = list(map(str, explained(entry, monkeypatch).causes))
    assert told == [
        f"code of {file} changed (abcdefgh -> {table[file][:8]})",
        "code of src/goldfold/engine/old.py is gone",
    ]


@pytest.mark.usefixtures("in_tmp")
def test_inputs_files_and_versions_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("fold.csv").write_text("a")
    versions = {**provenance.versions(), "torch": "1.0"}
    name, entry = made("results/x/train", "train", recipe_of(), ["fold.csv"], versions=versions)
    Path("fold.csv").write_text("b")
    Path("results/x/train/out.bin").unlink()
    told = list(map(str, explained(entry, monkeypatch).causes))
    assert told[0] == "results/x/train/out.bin is missing"
    assert f"torch: 1.0 -> {provenance.versions()['torch']}" in told
    assert told[-1].startswith("fold.csv changed (ca978112 -> 3e23e816)")
    Path(name).unlink()
    assert list(map(str, explained(entry, monkeypatch).causes)) == ["never made before"]


@pytest.mark.usefixtures("in_tmp")
def test_records_and_outputs_that_are_gone_torn_or_changed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    name, entry = made("results/x/train", "train", recipe_of(), [])
    out = "results/x/train/out.bin"
    Path(out).write_text("tr_in")
    os.utime(out, ns=(5 * 10**18,) * 2)
    (cause,) = explained(entry, monkeypatch).causes
    assert str(cause).startswith(f"{out} is not what its job wrote (")
    Path(name).write_text("{}")
    assert list(map(str, explained(entry, monkeypatch).causes)) == [f"{name} cannot be read as a record"]
    Path(name).unlink()
    assert list(map(str, explained(entry, monkeypatch).causes)) == [f"{name} is missing"]
    Path(out).unlink()
    assert list(map(str, explained(entry, monkeypatch).causes)) == ["never made before"]
    write_json("results/x/provenance.json", {"records": [name]})
    assert list(map(str, explained(entry, monkeypatch).causes)) == [f"{name} is missing"]


def planned_job(rule: str, inputs: list[str], outputs: list[str], **place: str) -> dict[str, Any]:
    recipe = recipes.keep(f"results/x/{rule}/run.json", recipe_of())
    record = f"results/x/{rule}{''.join(place.values())}/run.json"
    wildcards = {key: str(value) for key, value in place.items()}
    return {
        "rule": rule, "wildcards": wildcards, "record": record, "recipe": recipe, "forced": False, "inputs": inputs,
        "outputs": [*outputs, record],
    }  # fmt: skip


@pytest.mark.usefixtures("in_tmp")
def test_what_hangs_on_folds_that_are_yet_to_be_made_is_not_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    folds = planned_job("folds", [], ["f"])
    _, train = made("results/x/train", "train", recipe_of(), [])
    changed = planned_job("train", [], ["m"], model="b")  # never made before: for certain
    predict = {**train, "rule": "predict", "record": "results/x/p/run.json", "inputs": ["m"], "outputs": ["p"]}
    monkeypatch.setattr(reasons, "_planned", lambda words: [folds, train, changed, predict])
    found = reasons.jobs([])
    assert [(job.rule, job.is_certain) for job in found] == [
        ("folds", True), ("train", False), ("train", True), ("predict", True),
    ]  # fmt: skip
    text = why.as_text(found)
    assert text.startswith("3 jobs would run, 1 of them trainings: ")
    assert "The jobs after the folds are not known before these are made: none, or at most 1 job, 1 of them tra" in text
    told = json.loads(why.as_json(found))
    assert (told["trainings"], told["possible"]["trainings"]) == (1, 2)


@pytest.mark.usefixtures("in_tmp")
def test_data_that_the_config_no_longer_names_are_not_called_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = ({**recipe_of(), "data": {name: "d" * 16}} for name in ("a.csv", "b.csv"))
    name, entry = made("results/x/manifest", "manifest", old, [])
    entry["recipe"] = recipes.keep(name, new)
    told = set(map(str, explained(entry, monkeypatch).causes))
    assert told == {"the config no longer names a.csv", "the config now names b.csv"}


@pytest.mark.usefixtures("in_tmp")
def test_machines_get_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    name, entry = made("results/x/train", "train", recipe_of(lr=0.1), [])
    entry["recipe"] = recipes.keep(name, recipe_of(lr=0.2))
    monkeypatch.setattr(reasons, "_planned", lambda words: [entry])
    assert cli.main(["why", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["trainings"] == 1
    assert told["jobs"][0]["causes"] == [{"kind": "setting", "name": "lr", "old": 0.1, "new": 0.2}]


def test_nothing_to_do_is_said() -> None:
    assert why.as_text([]).startswith("Nothing would run")


@pytest.mark.usefixtures("in_tmp")
def test_verify_names_what_is_missing_changed_and_stale(capsys: pytest.CaptureFixture[str]) -> None:
    made("results/x/train", "train", recipe_of(), [])
    made("results/x/predict", "predict", recipe_of(), ["results/x/train/out.bin"])
    count, findings = verify("results/x")
    assert (count, findings) == (2, [])
    assert cli.main(["verify", "results/x"]) == 0
    Path("results/x/train/out.bin").write_text("other")
    Path("results/x/predict/out.bin").unlink()
    found = {(finding.problem, finding.path) for finding in verify("results/x")[1]}
    assert found == {
        ("changed", "results/x/train/out.bin"),
        ("stale", "results/x/train/out.bin"),
        ("missing", "results/x/predict/out.bin"),
    }
    assert cli.main(["verify", "results/x"]) == 1
    assert "1 files, 3 findings" in capsys.readouterr().out
    with pytest.raises(DataError, match="no run"):
        verify("results/y")


@pytest.mark.usefixtures("in_tmp")
def test_verify_looks_at_the_epoch_that_was_not_chosen_where_it_is_there() -> None:
    spare = Path("results/x/train/best.safetensors")
    spare.parent.mkdir(parents=True)
    spare.write_text("weights")
    name, entry = made("results/x/train", "train", recipe_of(), [], files=digests([spare]))
    assert verify("results/x") == (2, [])
    os.utime(entry["recipe"], (0, 0))
    assert dates.is_fresh(name, entry["recipe"], entry["outputs"])
    spare.write_text("others")
    assert [(finding.problem, finding.path) for finding in verify("results/x")[1]] == [("changed", str(spare))]
    assert dates.is_fresh(name, entry["recipe"], entry["outputs"]), "nothing is trained anew for it"
    spare.unlink()
    assert verify("results/x") == (1, []), "it may be deleted to save room"
    assert dates.is_fresh(name, entry["recipe"], entry["outputs"])


@pytest.mark.usefixtures("in_tmp")
@pytest.mark.parametrize(
    "torn", ["", '{"rule": "train", "inp', "[]", '{"rule": 1, "recipe": 1, "inputs": 1, "outputs": 1}']
)
def test_verify_names_a_record_that_cannot_be_read(torn: str, capsys: pytest.CaptureFixture[str]) -> None:
    made("results/x/train", "train", recipe_of(), [])
    name, _ = made("results/x/predict", "predict", recipe_of(), ["results/x/train/out.bin"])
    Path(name).write_text(torn)
    assert cli.main(["verify", "results/x"]) == 1
    said = f"changed  {name}  cannot be read as a record: empty, torn or edited\n1 files, 1 findings\n"
    assert capsys.readouterr().out == said
    (finding,) = verify("results/x/predict")[1]
    assert (finding.path, finding.problem, finding.record) == (name, "changed", name)


def test_verify_elsewhere_says_where_to_run_it(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made("results/x/train", "train", recipe_of(), [])
    Path("other").mkdir()
    said = (
        r"such as results/x/train/out\.bin, searched in {}\. .*relative to the folder where snakemake was started: run"
    )
    with monkeypatch.context() as patch:
        patch.chdir("other")
        with pytest.raises(DataError, match=r"^\.\./results/x: .*" + said.format(in_tmp / "other")):
            verify("../results/x")
        made("results/x/train", "train", recipe_of(), [])
        assert cli.main(["verify", "../results/x"]) == 2, "another run's files of the same names are not compared"
        assert "Traceback" not in capsys.readouterr().err
    for place in ("results", "results/x", "results/x/train", in_tmp / "results/x"):
        assert verify(place) == (1, [])
    Path("results/x/train/out.bin").rename("cached")
    Path("results/x/train/out.bin").symlink_to(in_tmp / "cached")
    assert verify("results/x") == (1, []), "links of DVC are followed for the bytes alone"
    Path("results").rename("moved")
    with pytest.raises(DataError, match=r"^moved/x: .*" + said.format(in_tmp)):
        verify("moved/x")


@pytest.mark.usefixtures("in_tmp")
def test_what_the_config_no_longer_has_is_a_leftover(capsys: pytest.CaptureFixture[str]) -> None:
    Path("folds.csv").write_text("a")
    kept, _ = made("results/x/train/a", "train", recipe_of(), ["folds.csv"])
    gone, _ = made("results/x/train/b", "train", recipe_of(), ["folds.csv"])
    Path("folds.csv").write_text("b")
    write_json("results/x/provenance.json", {"jobs": 2})
    assert [finding.leftover for finding in verify("results/x")[1]] == [False] * 3, "it does not say"
    write_json("results/x/provenance.json", {"records": [kept]})
    assert [(finding.record, finding.leftover) for finding in verify("results/x")[1]] == [(kept, False), (gone, True)]
    assert cli.main(["verify", "results/x"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[1].startswith(f"stale    {gone} was made from folds.csv as ca978112")
    assert out.splitlines()[1].endswith("[leftover: no job of the current config]")
    assert out.endswith("2 findings, 1 of them leftovers\n")
    made("results/x/train/a", "train", recipe_of(), ["folds.csv"])
    write_json("results/x/provenance.json", {"records": [kept]})
    assert cli.main(["verify", "results/x/train"]) == 0
    os.utime(gone, (2e9, 2e9))
    assert cli.main(["verify", "results/x"]) == 1, "a run that has yet to finish made it"


@pytest.mark.usefixtures("in_tmp")
def test_a_recipe_that_is_in_use_stays_as_it_is_when_another_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    name, entry = made("results/x/train", "train", recipe_of(lr=0.1), [])
    other = recipes.keep(name, recipe_of(lr=0.2))
    assert recipes.read(entry["recipe"])["settings"] == {"lr": 0.1}
    assert recipes.read(other)["settings"] == {"lr": 0.2}
    assert Path(entry["recipe"]).stat().st_mtime == dates.LONG_AGO_NS / 1e9 < Path(other).stat().st_mtime
    assert recipes.keep(name, recipe_of(lr=0.1)) == entry["recipe"]
    recipes.forget("results/x")
    assert Path(other).exists()
    monkeypatch.setattr(recipes, "DAY_SECONDS", -60)
    recipes.forget("results/x")
    assert not Path(other).exists()


def test_a_table_with_a_very_long_field_can_be_looked_at(in_tmp: Path) -> None:
    Path("raw").mkdir()
    Path("raw/a.png").write_bytes(b"new")
    runs = "1 2 " * 50_000
    Path("train.csv").write_text(f"id,path,sha256,mask\na,raw/a.png,0000,{runs}\n")
    (cause,) = staleness._changed_images({"outputs": {"train.csv": ""}}, "raw")
    assert (cause.kind, cause.name, cause.old) == ("data", "raw/a.png", "0000")


def test_a_change_of_code_without_a_digest_shows_none() -> None:
    assert str(Cause("code", "cache/building.py, which caches images,", "", "")) == (
        "code of cache/building.py, which caches images, changed"
    )
