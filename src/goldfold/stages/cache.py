"""Stage cache: list of a shard -> decoded, resized images."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from goldfold.base.run_lock import held
from goldfold.cache.building import Contents, Frame, build_piece
from goldfold.cache.estimates import pixels_per_image, share_of_png
from goldfold.cache.size import GB, Whole, bytes_below, refuse_full_disk, store_for
from goldfold.lineage import provenance
from goldfold.tables import read_table

LIBRARIES = ("numpy", "opencv-python-headless", "pillow")
WORK = ".work"
"""Scratch folder: unfinished shards, and shards built for sizes that no job has requested yet."""


def run(
    shard: str, folder: str, size: list[int], channels: int, resize: str, others: Sequence[str] = (),
    whole: dict[str, Any] | None = None, max_gb: float = 50.0,
) -> dict[str, Any]:  # fmt: skip
    """Write the images listed in ``shard`` (CSV of id, path, sha256) into ``folder``; return facts for the record.

    Args:
        folder: <cache>/<height>x<width>-<resize>/<name of the shard>, or <cache>/native/<name of the shard>
        others: names of sizes that other jobs will request: built from the same decoded images, for them to take over.
        whole: contents of the whole cache: ``images`` by split, ``shards`` per split, all ``specs`` of the config, and
            those ``wanted`` now. Without it, this shard is the whole cache.
        max_gb: a cache that would take more than this as arrays is stored as PNGs with the same pixels.

    Raises:
        DataError: an image can no longer be read, or the disk is too small for the whole cache.
    """
    table = read_table(shard)
    frame, out = Frame((size[0], size[1]), resize), Path(folder)
    cache, name = out.parents[1], out.name
    known = whole or {"images": {name.split("-")[0]: len(table)}, "shards": 1, "specs": [frame.name], "wanted": []}
    begun = Contents(table, channels, code=_code())
    pixel = channels * begun.dtype.itemsize
    native = [one for one in map(Frame.of, {frame.name, *known["specs"]}) if one.is_native]
    pixels = {one.name: pixels_per_image(begun, one) for one in native}
    total = Whole(known["images"], _bytes_a_pixel(known["images"], pixel, "mask" in table), known["shards"], pixels)
    chosen = _chosen(total, known["specs"], max_gb)
    contents = replace(begun, store=chosen["store"])
    with held(cache / WORK / name, "a job that decodes the same images for another size") as alone:
        work = cache / WORK / (name if alone else f"{name}-{frame.name}")  # share nothing that cannot be locked
        share = share_of_png(contents, frame) if chosen["store"] == "png" else 1.0
        to_come = share * total.bytes_to_come([Frame.of(spec) for spec in {frame.name, *known["wanted"]}], cache)
        refuse_full_disk(cache, to_come, bytes_below(cache / WORK))
        facts = build_piece(contents, frame, out, work, [Frame.of(spec) for spec in others] if alone else [])
    print(f"{len(table)} images, {facts['decoded']} decoded now, {facts['taken_over']} decoded earlier", flush=True)
    return {"images": len(table), **chosen, **facts}


def _bytes_a_pixel(splits: Iterable[str], pixel: int, masks: bool) -> dict[str, int]:
    """Bytes per pixel as arrays, by split, for images of ``pixel`` bytes per pixel; only training images have masks."""
    return {split: pixel + (masks and split == "train") for split in splits}


def _chosen(total: Whole, specs: Sequence[str], max_gb: float) -> dict[str, Any]:
    """Choose the kind of store, the same for all shards of a run, and report why."""
    as_arrays = total.bytes([Frame.of(spec) for spec in specs])
    store = store_for(as_arrays, max_gb)
    kept = "arrays" if store == "arrays" else "PNGs, the pixels being the same"
    print(
        f"whole cache: {sum(total.images.values())} images, {', '.join(specs)}, {as_arrays / GB:.2f} GB as arrays, "
        f"cache.max_gb {max_gb:g}: kept as {kept}",
        flush=True,
    )
    return {"store": store, "gb_as_arrays": round(as_arrays / GB, 3), "max_gb": max_gb}


def _code() -> str:
    """Code and libraries that an unfinished shard must have been started with to be continued."""
    return f"{provenance.source_digest('cache')} {provenance.versions(LIBRARIES)}"
