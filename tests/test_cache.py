"""The cache: both kinds of stores, one decode for several sizes, builds that are stopped, and room on the disk."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import Tiny
from goldfold.base import run_lock
from goldfold.base.errors import DataError
from goldfold.base.files import read_json
from goldfold.cache import building
from goldfold.cache.building import Contents, Frame, build_piece
from goldfold.cache.images import CachedImages
from goldfold.cache.stores import WRITERS, open_rows
from goldfold.images.decode import decode
from goldfold.images.geometry import place
from goldfold.stages import cache as stage
from goldfold.targets.masks import write_mask
from test_workflow import snakemake, write_config, write_images

N = 12
SMALL, WIDE = Frame((8, 8), "squash"), Frame((6, 10), "pad")
FILES = ("images.npy", "masks.npy", "ids.csv")
STORES = ["arrays", "png"]


def pictures(masks: bool = True) -> pd.DataFrame:
    """A table of N images of several shapes, made here, with masks of 8 bits."""
    import cv2

    generator, rows = np.random.default_rng(0), []
    for number in range(N):
        shape = (16 + number, 20 - number)
        cv2.imwrite(f"i{number}.png", generator.integers(0, 255, (*shape, 3), np.uint8))
        write_mask(f"m{number}.png", generator.integers(0, 4, shape))
        mask = {"mask": f"m{number}.png", "mask_depth": "8"} if masks else {}
        rows.append({"id": f"{number:02d}", "path": f"i{number}.png", "sha256": str(number), **mask})
    return pd.DataFrame(rows)


@pytest.fixture(autouse=True)
def _in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the images that are decoded from here on."""
    paths: list[str] = []
    monkeypatch.setattr(building, "decode", lambda path, channels: (paths.append(path), decode(path, channels))[1])
    return paths


def bytes_of(folder: str | Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


# --- two kinds of stores


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((5, 7, 1), "u1"), ((5, 7, 3), "u1"), ((5, 7, 4), "u1"), ((5, 7, 6), "u2"), ((5, 7), "u1"), ((4, 9), "u2"), ((5, 7), "u4")],
)  # fmt: skip
def test_both_stores_give_every_bit_back(shape: tuple[int, ...], dtype: str) -> None:
    top = np.iinfo(dtype).max
    rows = np.random.default_rng(1).integers(0, top, (3, *shape), dtype, endpoint=True)
    rows[1], rows[2] = 0, top
    for store, writer in WRITERS.items():
        out = writer(Path(store), rows.shape, np.dtype(dtype))
        for row in rows:
            out.append(row)
        out.finish()
        read = open_rows(store)
        assert tuple(read.shape) == rows.shape
        for number in (2, 0, 1):
            assert read[number].dtype == rows.dtype
            assert np.array_equal(read[number], rows[number]), store
        copy = read[0]
        copy[:] = 1
        assert np.array_equal(read[0], rows[0]), "a row that is changed leaves the cache alone"
    assert set(WRITERS) == set(STORES)


def test_a_store_may_hold_no_rows() -> None:
    for store, writer in WRITERS.items():
        writer(Path(store), (0, 5, 6, 1), np.dtype(np.uint8)).finish()
        assert tuple(open_rows(store).shape) == (0, 5, 6, 1)


def test_pieces_of_both_kinds_are_read_as_one_cache_of_the_same_pixels() -> None:
    table = pictures()
    for store in STORES:
        build_piece(Contents(table, 3, store), SMALL, Path(store), Path("work"))
        build_piece(Contents(table[:5], 3, store), SMALL, Path(f"{store}-first"), Path("work"))
        build_piece(Contents(table[5:], 3, store), SMALL, Path(f"{store}-rest"), Path("work"))
    plain = CachedImages(["arrays"])
    assert np.load("png/images.npy").ndim == 1, "these are encoded"
    for other in (["png"], ["arrays-first", "png-rest"], ["png-first", "arrays-rest"]):
        cached = CachedImages(other)
        assert cached.frame == (8, 8)
        assert np.array_equal(cached.batch(list(table["id"])), plain.batch(list(table["id"])))
        for id in table["id"]:
            assert np.array_equal(cached.mask(id), plain.mask(id))


def test_a_damaged_png_is_named() -> None:
    build_piece(Contents(pictures(), 3, "png"), SMALL, Path("c"), Path("work"))
    content = bytearray(Path("c/images.npy").read_bytes())
    content[128:140] = bytes(12)
    Path("c/images.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"c/images\.npy: row 0 is not a PNG: the file is damaged\. Delete its folder"):
        CachedImages(["c"])["00"]


def test_a_model_is_the_same_bytes_from_either_store(tiny: Tiny) -> None:
    size = tiny.model()["size"]
    stage.run(
        str(tiny.folds / "shards/train-0.csv"), f"{size[0]}x{size[1]}-squash/train-0", size, 3, "squash", max_gb=0
    )
    encoded = [f"{size[0]}x{size[1]}-squash/train-0"]
    assert np.load(f"{encoded[0]}/images.npy").ndim == 1
    settings = tiny.model({"epochs": 1, "warmup_epochs": 0})
    tiny.train(Path("plain"), model=settings)
    tiny.train(Path("encoded"), model=settings, caches=encoded)
    for name in ("model.safetensors", "history.csv"):
        assert Path("plain", name).read_bytes() == Path("encoded", name).read_bytes()


# --- masks and boxes go where the image goes


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("mode", ["squash", "pad", "crop"])
@pytest.mark.parametrize("frame", [(20, 20), (20, 40), (80, 60)])
def test_image_mask_and_box_of_one_thing_cover_the_same_pixels(frame: tuple[int, int], mode: str, store: str) -> None:
    image = np.zeros((40, 60), np.uint8)
    top, left, bottom, right = 12, 20, 28, 44
    image[top:bottom, left:right] = 255
    write_mask("i.png", image)
    write_mask("m.png", image // 255)
    table = pd.DataFrame([{"id": "a", "path": "i.png", "sha256": "s", "mask": "m.png", "mask_depth": "8"}])
    build_piece(Contents(table, 1, store), Frame(frame, mode), Path("c"), Path("work"))
    cached = CachedImages(["c"])
    seen, mask = cached["a"][..., 0] > 127, cached.mask("a") == 1
    assert mask.any()
    assert not mask.all()
    edge = (seen != mask).sum() / max(1, mask.sum())
    assert edge < 0.12, "they differ at most where a pixel lies across the edge"
    box = place((40, 60), frame, mode).to_frame(np.array([[left, top, right, bottom]]))[0]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    found = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    inside = box.clip(0, [frame[1], frame[0], frame[1], frame[0]])
    assert np.abs(found - inside).max() <= 1, "in pixels of the frame"


# --- several sizes of one decode


@pytest.mark.parametrize("store", STORES)
def test_other_sizes_are_made_of_the_same_decode_and_hold_what_they_would_alone(store: str, decoded: list[str]) -> None:
    job = Contents(pictures(), 3, store)
    first = build_piece(job, SMALL, Path("cache/small"), Path("cache/work"), [WIDE])
    assert (first, len(decoded)) == ({"decoded": N, "taken_over": 0}, N)
    assert not Path("cache/wide").exists(), "an output is its own job's to make"
    second = build_piece(job, WIDE, Path("cache/wide"), Path("cache/work"), [SMALL])
    assert (second, len(decoded)) == ({"decoded": 0, "taken_over": N}, N)
    assert not list(Path("cache/work").iterdir())
    for name, frame in (("small", SMALL), ("wide", WIDE)):
        build_piece(job, frame, Path(f"alone/{name}"), Path("alone/work"))
        assert bytes_of(f"cache/{name}") == bytes_of(f"alone/{name}")
        assert set(bytes_of(f"cache/{name}")) == set(FILES)


def in_processes(*jobs: Callable[[], Any]) -> list[int]:
    """Exit codes of functions, each run in a process of its own, at once."""
    context = multiprocessing.get_context("fork")
    started = [context.Process(target=job) for job in jobs]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    return [int(process.exitcode or 0) for process in started]


def run_stage(spec: str, others: list[str], **changes: Any) -> dict[str, Any]:
    frame = Frame.of(spec)
    return stage.run("train-0.csv", f"cache/{spec}/train-0", list(frame.size), 3, frame.mode, others, **changes)


def test_two_jobs_at_once_wait_for_each_other_and_decode_each_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures().to_csv("train-0.csv", index=False)

    def counted(path: str, channels: int) -> Any:
        with open("decoded", "a") as stream:
            stream.write(f"{path}\n")
        return decode(path, channels)

    monkeypatch.setattr(building, "decode", counted)
    specs = [SMALL.name, WIDE.name]
    assert in_processes(lambda: run_stage(specs[0], specs[1:]), lambda: run_stage(specs[1], specs[:1])) == [0, 0]
    assert len(Path("decoded").read_text().split()) == N
    assert CachedImages([f"cache/{specs[1]}/train-0"]).frame == WIDE.size


def test_where_nothing_can_be_locked_nothing_is_shared(monkeypatch: pytest.MonkeyPatch, decoded: list[str]) -> None:
    pictures().to_csv("train-0.csv", index=False)
    monkeypatch.setattr(run_lock, "_locked", lambda stream, how: None)
    for own, other in ((SMALL, WIDE), (WIDE, SMALL)):
        assert run_stage(own.name, [other.name])["taken_over"] == 0
    assert len(decoded) == 2 * N


# --- builds that are stopped


@pytest.mark.parametrize("store", STORES)
def test_a_build_that_was_killed_goes_on_and_ends_with_the_same_bytes(
    store: str, monkeypatch: pytest.MonkeyPatch, decoded: list[str]
) -> None:
    job = Contents(pictures(), 3, store)
    build_piece(job, SMALL, Path("whole"), Path("w"))
    build_piece(job, WIDE, Path("whole-wide"), Path("w"))
    decoded.clear()

    def killed_at(path: str) -> Callable[[], Any]:
        def at(asked: str, channels: int) -> Any:
            if asked == path:
                os.kill(os.getpid(), signal.SIGKILL)
            return decode(asked, channels)

        def build() -> None:
            monkeypatch.setattr(building, "decode", at)
            build_piece(job, SMALL, Path("c/out"), Path("c/work"), [WIDE], save_seconds=0)

        return build

    for path in ("i4.png", "i9.png"):
        assert in_processes(killed_at(path)) == [-signal.SIGKILL]
        assert not Path("c/out").exists(), "nothing is among the outputs before it is whole"
        for torn in Path("c/work").rglob("*.npy"):
            with open(torn, "ab") as stream:
                stream.write(b"half a row")
    assert build_piece(job, SMALL, Path("c/out"), Path("c/work"), [WIDE]) == {"decoded": 3, "taken_over": 9}
    assert decoded == ["i9.png", "i10.png", "i11.png"]
    build_piece(job, WIDE, Path("c/wide"), Path("c/work"))
    assert bytes_of("c/out") == bytes_of("whole")
    assert bytes_of("c/wide") == bytes_of("whole-wide")
    assert len(decoded) == 3


@pytest.mark.parametrize("what", ["table", "store", "code", "channels", "shorter"])
def test_what_another_job_began_is_dropped(what: str, decoded: list[str]) -> None:
    table = pictures(masks=False)
    spoilt = table.assign(path=[*table["path"][:-1], "absent.png"])
    job = Contents(spoilt, 3)
    with pytest.raises(DataError, match=r"absent\.png"):
        build_piece(job, SMALL, Path("c"), Path("work"), save_seconds=0)
    with pytest.raises(DataError, match=r"absent\.png"):
        build_piece(job, SMALL, Path("c"), Path("work"), save_seconds=0)
    assert len(decoded) == N + 1, "the same job goes on"
    changed = {
        "table": Contents(table, 3),
        "store": Contents(table, 3, "png"),
        "code": Contents(table, 3, code="other"),
        "channels": Contents(table, 1),
        "shorter": Contents(table, 3),
    }[what]
    if what == "shorter":  # the same job, but its file is not what the progress says
        Path("absent.png").write_bytes(Path("i0.png").read_bytes())
        changed = job
        os.truncate(f"work/{SMALL.name}/images.npy", 300)
    decoded.clear()
    assert build_piece(changed, SMALL, Path("c"), Path("work")) == {"decoded": N, "taken_over": 0}
    build_piece(changed, SMALL, Path("anew"), Path("other"))
    assert bytes_of("c") == bytes_of("anew")


def flip(path: str, place: int) -> None:
    data = bytearray(Path(path).read_bytes())
    data[place] ^= 2
    Path(path).write_bytes(data)


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "progress.json"])
@pytest.mark.parametrize("store", STORES)
def test_rows_that_changed_since_they_were_saved_are_made_again(store: str, name: str, decoded: list[str]) -> None:
    table = pictures()
    job = Contents(table.assign(path=[*table["path"][:-1], "absent.png"]), 3, store)
    with pytest.raises(DataError, match=r"absent\.png"):
        build_piece(job, SMALL, Path("c"), Path("work"), save_seconds=0)
    Path("absent.png").write_bytes(Path(table["path"][N - 1]).read_bytes())
    path = f"work/{SMALL.name}/{name}"
    place = Path(path).read_text().index('"rows": ') + 8 if name == "progress.json" else 150
    flip(path, place)
    assert build_piece(job, SMALL, Path("c"), Path("work")) == {"decoded": N, "taken_over": 0}
    build_piece(job, SMALL, Path("whole"), Path("other"))
    assert bytes_of("c") == bytes_of("whole")


# --- how large it is


def whole(**changes: Any) -> dict[str, Any]:
    return {"images": {"train": 2 * N}, "shards": 2, "specs": ["8x8-squash"], "wanted": ["8x8-squash"], **changes}


def test_a_whole_cache_above_max_gb_is_encoded_and_the_log_and_the_facts_say_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pictures().to_csv("train-0.csv", index=False)
    gb = 2 * N * 8 * 8 * (3 + 1) / 1e9
    facts = {}
    for limit in (gb, gb * 0.99):
        facts[limit] = run_stage(SMALL.name, [], whole=whole(), max_gb=limit)
        shutil.copytree("cache", f"made-{limit == gb}")
    assert facts[gb]["store"] == "arrays"
    assert facts[gb * 0.99]["store"] == "png"
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"whole cache: {2 * N} images, 8x8-squash, 0.00 GB as arrays, cache.max_gb")
    assert [line.partition(": kept as ")[2] for line in told[::2]] == ["arrays", "PNGs, the pixels being the same"]
    both = [CachedImages([f"made-{kind}/8x8-squash/train-0"]) for kind in (True, False)]
    ids = list(both[0].place)
    assert np.array_equal(both[0].batch(ids), both[1].batch(ids))
    two = run_stage(SMALL.name, [], whole=whole(specs=["8x8-squash", "16x16-squash"]), max_gb=gb)
    assert two["store"] == "png", "all sizes count"


def test_a_disk_too_small_for_the_whole_cache_is_told_before_anything_is_decoded(
    monkeypatch: pytest.MonkeyPatch, decoded: list[str]
) -> None:
    pictures(masks=False).to_csv("train-0.csv", index=False)
    needed = 2 * 2 * N * 8 * 8 * 3  # two sizes of the same area
    disk = shutil.disk_usage(".")
    specs = ["8x8-squash", "8x8-pad"]
    monkeypatch.setattr("shutil.disk_usage", lambda path: disk._replace(free=needed - 1))
    with pytest.raises(DataError) as error:
        run_stage(SMALL.name, [], whole=whole(specs=specs, wanted=specs))
    assert str(error.value) == (
        "cache: the rest of the cache needs about 0.0 MB, but only 0.0 MB are free there. Make room, lower "
        "image_size_px, or set cache.max_gb to less than the cache takes as arrays: it is then stored as PNGs."
    )
    assert not decoded
    for record in ("8x8-pad/train-0", "8x8-pad/train-1"):  # what is there needs no room any more
        Path("cache", record).mkdir(parents=True)
        Path("cache", record, "run.json").touch()
    run_stage(SMALL.name, [], whole=whole(specs=specs, wanted=specs))
    assert len(decoded) == N


# --- the workflow


def test_a_run_with_models_of_two_sizes_decodes_each_image_once(tmp_path: Path) -> None:
    write_images(tmp_path)
    models = [
        {"name": f"m{px}", "network": "small_resnet", "params": {"widths": [4]}, "image_size_px": px} for px in (8, 12)
    ]
    write_config(tmp_path, models=models)
    folders = [f"results/tiny/cache/{px}x{px}-squash/train-0" for px in (8, 12)]
    result = snakemake(tmp_path, *(f"{folder}/run.json" for folder in folders))
    assert result.returncode == 0, result.stdout + result.stderr
    made = [read_json(f"{folder}/run.json") for folder in folders]
    n = made[0]["images"]
    assert n > 5
    assert sorted((record["decoded"], record["taken_over"]) for record in made) == [(0, n), (n, 0)]
    assert {record["store"] for record in made} == {"arrays"}
    # What is made on the way is for the other model alone, and not for pieces that nobody asked for.
    assert [path.name for path in Path("results/tiny/cache/.work").rglob("*") if path.is_file()] == []
