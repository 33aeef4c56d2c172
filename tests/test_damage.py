"""Results that are missing, torn, changed or put back: at the level of records; tests/test_reruns.py has a real run."""

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from goldfold.base import run_lock, status
from goldfold.base.errors import DataError, GoldfoldError
from goldfold.base.files import refuse_unwritable, sealed, write_json
from goldfold.base.snakemake_log import Quiet
from goldfold.commands.verify import verify
from goldfold.lineage import contents, dates, keeping, recipes, records

ROOT = "results/x"
RECIPE: dict[str, Any] = {"settings": {"lr": 0.1}, "data": {}, "code": {"of": ["train"], "digest": "d"}}


def finished(
    rule: str,
    folder: str,
    files: dict[str, str],
    inputs: tuple[str, ...] = (),
    lists: tuple[str, ...] = (),
    **facts: Any,
) -> str:
    """Outputs and the record of a finished job; the record's path."""
    outputs = [f"{ROOT}/{folder}/{name}" for name in files]
    for path, text in zip(outputs, files.values(), strict=True):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    record = {
        "rule": rule, "wildcards": {}, "recipe": RECIPE, "inputs": {path: contents.digest(path) for path in inputs},
        "outputs": {path: contents.digest(path) for path in outputs if path not in lists},
        "files": {path: contents.digest(path) for path in lists}, **contents.stamps(outputs), "logs": [], "code": {},
        "git": {}, "versions": {}, "hardware": {}, "started": 1.0, "finished": 2.0, "seconds": 1.0, **facts,
    }  # fmt: skip
    name = f"{ROOT}/{folder}/run.json"
    write_json(name, record)
    return name


@pytest.fixture(autouse=True)
def folder(in_tmp: Path) -> Path:
    contents.memory.cache_clear()
    return in_tmp


@pytest.fixture
def train() -> str:
    return finished("train", "train/a", {"model.safetensors": "weights", "history.csv": "epoch"})


def flip(path: str) -> None:
    """Change one bit; the size stays, the time is new."""
    data = bytearray(Path(path).read_bytes())
    data[len(data) // 2] ^= 1
    before = os.stat(path).st_mtime_ns
    Path(path).write_bytes(data)
    os.utime(path, ns=(before + 10**9,) * 2)


def is_stale(record: str) -> bool:
    """Whether Snakemake sees a recipe that is newer than all that the job wrote."""
    time = os.stat(recipes.keep(record, RECIPE)).st_mtime_ns
    assert (time == dates.LONG_AGO_NS) == recipes.state(record, RECIPE).is_fresh
    return time > dates.latest([str(path) for path in Path(record).parent.rglob("*") if path.is_file()])


# --- damage

MODEL = f"{ROOT}/train/a/model.safetensors"


def rewritten(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], None]:
    """An edit of the record's content."""

    def edit(record: str) -> None:
        value = json.loads(Path(record).read_text())
        change(value)
        Path(record).write_text(json.dumps(value))

    return edit


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda record: Path(record).unlink(), id="record gone"),
        pytest.param(lambda record: Path(record).write_text("{"), id="record torn"),
        pytest.param(lambda record: Path(record).write_text("[]"), id="record of another kind"),
        pytest.param(lambda record: Path(record).write_text("[" * 100_000), id="record nested without end"),
        pytest.param(lambda record: (Path(record).unlink(), os.mkfifo(record)), id="a pipe instead of it"),
        *(
            pytest.param(rewritten(lambda value, key=key: value.pop(key)), id=f"record without {key}")
            for key in ("rule", "wildcards", "recipe", "inputs", "outputs", "files", "logs", "versions", "finished", "seconds")
        ),
        *(
            pytest.param(rewritten(lambda value, key=key, other=other: value.update({key: other})), id=f"{key} {other!r}")
            for key, other in (
                ("outputs", []), ("outputs", {"a": 1}), ("files", None), ("recipe", {"settings": {}}), ("finished", "now"),
                ("inputs", {"a\0b": "x"}), ("outputs", {"\ud800": "x"}), ("seconds", math.inf),
                ("sizes", {"a": "b"}), ("times", []), ("logs", [1]), ("code", "x"), ("git", None),
            )
        ),
        pytest.param(lambda record: Path(MODEL).unlink(), id="output gone"),
        pytest.param(lambda record: flip(MODEL), id="output of the same size changed"),
        pytest.param(lambda record: Path(MODEL).write_text("weight"), id="output cut short"),
        pytest.param(lambda record: os.truncate(MODEL, 0), id="output empty"),
    ],
)  # fmt: skip
def test_a_job_runs_again_where_its_record_or_output_is_gone_torn_or_changed(
    damage: Callable[[str], Any], train: str
) -> None:
    assert not is_stale(train)
    damage(train)
    assert is_stale(train)
    assert isinstance(records.read_all(ROOT), dict), "no start is stopped"
    dates.settle(records.read_all(ROOT))
    assert is_stale(train), "whatever the times were made to say"


def test_a_record_that_does_not_know_all_of_its_job_is_none(train: str) -> None:
    assert recipes.state(train, RECIPE, expected=[MODEL, train]).is_fresh
    rewritten(lambda value: value["outputs"].pop(MODEL))(train)
    assert recipes.state(train, RECIPE).is_fresh
    assert not recipes.state(train, RECIPE, expected=[MODEL, train]).is_fresh
    found = recipes.state(train, RECIPE, expected=[MODEL, train])
    assert (found.is_readable, found.unlisted) == (True, [MODEL]), "the reason is not that it is torn"
    assert os.stat(recipes.keep(train, RECIPE, found)).st_mtime_ns > os.stat(train).st_mtime_ns


def test_a_record_in_which_any_fact_was_changed_is_none(train: str) -> None:
    write_json(
        train, sealed({**records.read_all(ROOT)[train], "parameters": 1000, "final": {"loss": math.nan, 2: (1.5,)}})
    )
    written = json.loads(Path(train).read_text())
    Path(train).write_text(json.dumps(dict(reversed(written.items()))))  # layout and order mean nothing
    assert not is_stale(train)
    for key, value in {"parameters": 1001, "final": {}, "seconds": 2.0, "digest": "0"}.items():
        Path(train).write_text(json.dumps({**written, key: value}))
        os.utime(train, ns=(0, dates.latest([train]) + 10**9))  # a process reads each record once
        assert is_stale(train)
        with pytest.raises(DataError, match=r"run\.json is not a readable record\. Run the same command again"):
            records.input_digests([train])
        assert [str(finding) for finding in verify(ROOT)[1]] == [
            f"changed  {train}  cannot be read as a record: empty, torn or edited"
        ]


def test_each_recipe_has_a_folder_that_no_other_job_writes_into() -> None:
    names = [f"{ROOT}/{name}run.json" for name in ("folds/", "submission.", "pseudo/fold0.", "pseudo/fold1.")]
    assert len({Path(recipes.keep(name, RECIPE)).parent for name in names}) == 4


def test_a_pipe_in_the_place_of_an_output_is_damage_and_never_opened(train: str) -> None:
    Path(MODEL).unlink()
    os.mkfifo(MODEL)
    assert is_stale(train)
    assert [finding.problem for finding in verify(ROOT)[1]] == ["missing"]


@pytest.mark.parametrize("lost", [MODEL, f"{ROOT}/train/a/run.json"])
def test_a_link_to_nothing_in_the_place_of_a_result_is_named_and_stays(lost: str, train: str) -> None:
    records.refuse_links_to_nothing(ROOT, records.read_all(ROOT))
    Path(lost).unlink()
    Path(lost).symlink_to("/disk/gone")
    said = rf"^{lost} is a link to /disk/gone, which does not exist \(1 such result\)\. Restore the files .*or remove the links"
    with pytest.raises(DataError, match=said):
        records.refuse_links_to_nothing(ROOT, records.read_all(ROOT))
    assert os.path.islink(lost)


def test_records_of_a_later_version_are_refused_and_those_without_one_read(train: str) -> None:
    assert "schema" not in records.read_all(ROOT)[train]
    records.refuse_newer(records.read_all(ROOT))
    write_json(train, sealed({**records.read_all(ROOT)[train], "schema": 2}))
    said = rf"^{train} was written by another version of goldfold \(schema 2; this version has 1\)\. Update goldfold"
    with pytest.raises(DataError, match=said):
        records.refuse_newer(records.read_all(ROOT))


def test_a_memory_that_cannot_be_written_costs_nothing_else(train: str) -> None:
    contents.MEMORY.parent.write_text("no folder")
    contents.memory().digest(MODEL)
    contents.memory().save()


def test_a_torn_recipe_is_written_again_and_a_spoilt_memory_forgotten(train: str) -> None:
    path = recipes.keep(train, RECIPE)
    Path(path).write_text("")
    assert recipes.read(recipes.keep(train, RECIPE)) == RECIPE
    contents.MEMORY.write_text(json.dumps({MODEL: 5, train: [1, 2], "x": ["1", 2, "3"]}))
    contents.memory.cache_clear()
    assert contents.memory().known == {}


def test_results_below_a_link_are_kept_and_missed(train: str) -> None:
    Path("elsewhere").mkdir()
    shutil.move(f"{ROOT}/train", "elsewhere/train")
    Path(f"{ROOT}/train").symlink_to(Path("elsewhere/train").absolute())
    Path(f"{ROOT}/train/loop").symlink_to(Path(ROOT).absolute())
    write_json(f"{ROOT}/provenance.json", {"records": [train]})
    assert verify(ROOT)[1] == []
    keeping.keep(ROOT)
    delete_as_snakemake_does(train)
    assert keeping.put_back(ROOT) == [train]
    assert not is_stale(train)


def test_lists_beside_the_record_of_the_folds_count_and_a_spare_epoch_does_not() -> None:
    folds = finished("folds", "folds", {"fold0.csv": "a\nb\nc\n"}, lists=(f"{ROOT}/folds/fold0.csv",))
    train = finished("train", "train/a", {"model": "w", "best": "v"}, lists=(f"{ROOT}/train/a/best",))
    Path(f"{ROOT}/folds/fold0.csv").write_text("a\nb\n")
    Path(f"{ROOT}/train/a/best").unlink()
    assert is_stale(folds)
    assert not is_stale(train)
    Path(f"{ROOT}/folds/fold0.csv").unlink()
    assert is_stale(folds)


def test_contents_are_read_again_only_where_size_or_time_changed(train: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    digest = contents.digest
    monkeypatch.setattr(contents, "digest", lambda path: read.append(str(path)) or digest(path))
    assert not is_stale(train)
    assert read == [], "the record has size and time"
    os.utime(MODEL, ns=(5 * 10**18,) * 2)
    assert not is_stale(train)
    assert not is_stale(train)
    assert read == [MODEL], "once"
    contents.memory().save()
    contents.memory.cache_clear()
    contents.memory().redate(MODEL, 6 * 10**17)
    assert not is_stale(train)
    assert read == [MODEL], "remembered, by the next process and after goldfold itself dated the file"


def test_the_digest_of_a_folder_of_outputs_follows_its_files() -> None:
    for name in ("masks/a.png", "masks/b.png"):
        Path(f"{ROOT}/submit/{name}").parent.mkdir(parents=True, exist_ok=True)
        Path(f"{ROOT}/submit/{name}").write_text(name)
    record = finished("submit", "submit", {})
    value = json.loads(Path(record).read_text())
    masks = f"{ROOT}/submit/masks"
    write_json(record, {**value, "outputs": {masks: contents.digest(masks)}, **contents.stamps([masks])})
    assert not is_stale(record)
    flip(f"{masks}/b.png")
    assert recipes.state(record, RECIPE).damage.keys() == {masks}


# --- jobs


@pytest.mark.parametrize(
    ("rule", "folder", "name"),
    [("train", "train/a", "model"), ("folds", "folds", "shards/train-0.csv"), ("ensemble", "ensemble", "../metrics.json"),
     ("cache", "cache/9x9-squash/train-0", "images.npy")],
)  # fmt: skip
def test_a_job_does_not_start_on_an_input_that_its_record_does_not_know(rule: str, folder: str, name: str) -> None:
    path = os.path.normpath(f"{ROOT}/{folder}/{name}")
    record = finished(rule, folder, {})
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("as written")
    value = json.loads(Path(record).read_text())
    write_json(record, {**value, "outputs": {path: contents.digest(path)}, **contents.stamps([path])})
    assert records.input_digests([path]) == {path: contents.digest(path)}
    before = os.stat(path)
    flip(path)  # cache is large: one of about the time at which it was written is not read
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + (rule == "cache") * 100 * 10**9))
    with pytest.raises(
        DataError, match=r"is not what its job wrote: .* Run the same command again: the job that writes it"
    ):
        records.input_digests([path])
    assert os.stat(path).st_mtime_ns != before.st_mtime_ns
    assert recipes.state(record, RECIPE).damage.keys() == {path}, "the next start sees it"


# --- times


@pytest.mark.parametrize("time", [0, 315532800, 946684800, 4_000_000_000])
def test_dates_before_all_recipes_or_after_now_rerun_nothing(time: int, train: str) -> None:
    predict = finished("predict", "predict/a", {"oof.npz": "p"}, (MODEL,), finished=3.0)
    for path in Path(ROOT).rglob("*"):
        os.utime(path, (time, time))
    dates.settle(records.read_all(ROOT))
    assert not is_stale(train)
    assert not is_stale(predict)
    outputs = [f"{ROOT}/predict/a/oof.npz"]
    assert dates.is_fresh(predict, recipes.keep(predict, RECIPE), outputs)
    assert os.stat(MODEL).st_mtime_ns < os.stat(outputs[0]).st_mtime_ns


# --- earlier results


def delete_as_snakemake_does(record: str) -> None:
    value = records.read(record)
    assert value is not None
    for path in (*value["outputs"], record):
        Path(path).unlink(missing_ok=True)


def test_results_of_a_job_that_did_not_finish_return_and_those_of_others_stay(train: str) -> None:
    other = finished("train", "train/b", {"model": "old"})
    keeping.keep(ROOT)
    assert set(records.read_all(ROOT)) == {train, other}, "the second links are no results"
    delete_as_snakemake_does(train)
    Path(MODEL).write_text("half of the new one")
    delete_as_snakemake_does(other)
    finished("train", "train/b", {"model": "new"})
    assert keeping.put_back(ROOT) == [train]
    assert Path(MODEL).read_text() == "weights"
    assert not is_stale(train)
    assert Path(f"{ROOT}/train/b/model").read_text() == "new"
    assert not Path(ROOT, keeping.FOLDER).exists()


def test_folders_and_lists_return_too_and_a_file_system_without_links_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError("no links here")))
    folds = finished("folds", "folds", {"train.csv": "id\n1\n"}, lists=(f"{ROOT}/folds/train.csv",))
    masks = Path(f"{ROOT}/submit/masks")
    masks.mkdir(parents=True)
    (masks / "a.png").write_text("a")
    submit = finished("submit", "submit", {})
    value = json.loads(Path(submit).read_text())
    write_json(submit, {**value, "outputs": {str(masks): contents.digest(masks)}})
    keeping.keep(ROOT)
    Path(folds).unlink()
    Path(f"{ROOT}/folds/train.csv").write_text("id\n")
    Path(submit).unlink()
    shutil.rmtree(masks)
    assert keeping.put_back(ROOT) == [folds, submit]
    assert Path(f"{ROOT}/folds/train.csv").read_text() == "id\n1\n"
    assert (masks / "a.png").read_text() == "a"


# --- the folder of results


def test_a_folder_that_cannot_be_written_is_one_line() -> None:
    Path("results").symlink_to("/nowhere/disk")
    with pytest.raises(
        GoldfoldError, match=r"^results is a link to /nowhere/disk, which does not exist\. Make or mount"
    ):
        refuse_unwritable(ROOT)
    Path("results").unlink()
    Path("results").write_text("")
    with pytest.raises(GoldfoldError, match=r"^results is a file, and results are written below it"):
        refuse_unwritable(ROOT)
    Path("results").unlink()
    refuse_unwritable(ROOT)
    assert not list(Path(ROOT).iterdir())


def test_a_folder_that_is_read_only_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tempfile.TemporaryFile", lambda **_: (_ for _ in ()).throw(OSError(30, "Read-only file system"))
    )
    with pytest.raises(GoldfoldError, match=r"^cannot write below results/x: Read-only file system\. Make it writable"):
        refuse_unwritable(ROOT)


def test_entries_of_killed_jobs_go_when_the_next_run_begins() -> None:
    entries = Path(ROOT) / status.FOLDER
    here = {"job": "train", "host": status.socket.gethostname(), "started": 0.0, "done": 0, "total": 0, "note": ""}
    for name, entry in {
        "later process of the same number": {**here, "pid": os.getpid(), "born": "1"},
        "alive": {**here, "pid": os.getpid(), "born": status.born(os.getpid())},
        "long silent elsewhere": {**here, "host": "node7", "pid": 1, "written": 0.0},
        "elsewhere": {**here, "host": "node7", "pid": 1, "written": 9e9},
    }.items():
        write_json(entries / f"{name}.json", entry)
    status.forget_dead(ROOT)
    assert {path.stem for path in entries.iterdir()} == {"alive", "elsewhere"}


def test_a_run_between_two_jobs_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from goldfold import cli

    monkeypatch.setenv(run_lock.VARIABLE, "")  # which the lock sets, and no later test should see
    monkeypatch.setattr(run_lock, "_kept", [])
    run_lock.take(ROOT)
    cli.main(["status"])
    assert capsys.readouterr().out.startswith(f"x  a run is starting, or between two jobs (process {os.getpid()} on ")
    run_lock._kept.pop().close()
    cli.main(["status"])
    assert capsys.readouterr().out == "no jobs are running below results/\n"


# --- verify


def test_verify_misses_records_of_the_last_finished_run(train: str) -> None:
    predict = finished("predict", "predict/a", {"oof.npz": "p"}, (MODEL,))
    cache = finished("cache", "cache/9x9-squash/train-0", {"images.npy": "i"})
    write_json(f"{ROOT}/provenance.json", {"records": [train, predict, cache]})
    assert verify(ROOT)[1] == []
    Path(train).unlink()
    Path(cache).unlink()  # may go at any time
    (finding,) = verify(ROOT)[1]
    assert str(finding) == f"missing  {train}  this record is missing"


def test_verify_names_files_that_no_record_has_where_no_run_was_finished(train: str) -> None:
    finished("predict", "predict/a", {"oof.npz": "p"}, (MODEL,))
    Path(train).unlink()
    (finding,) = verify(ROOT)[1]
    assert str(finding) == f"missing  {MODEL}  it has no record"


# --- Snakemake's words


def test_what_snakemake_says_that_is_untrue_or_said_before_is_not_shown() -> None:
    quiet = Quiet()

    def shown(text: str) -> bool:
        import logging

        return quiet.filter(logging.LogRecord("s", logging.INFO, "", 0, text, None, None))

    assert not shown("31 jobs have missing provenance/metadata so that it in part cannot be used to trigger re-runs.")
    ending = "Will exit after finishing currently running jobs (scheduler)."
    assert [shown(ending), shown(ending), shown("Nothing to be done"), shown("Nothing to be done")] == [
        True,
        False,
        True,
        True,
    ]
