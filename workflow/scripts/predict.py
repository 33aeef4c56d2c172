"""trained network and cache -> predictions"""

from pathlib import Path

from goldfold.runtime.job import job

with job(snakemake):
    from goldfold.stages.predict import run

    run(
        folder=str(Path(snakemake.output[0]).parent),
        weights=snakemake.input.model,
        fold_file=snakemake.input.fold,
        classes=snakemake.input.classes,
        caches=list(dict.fromkeys(str(Path(path).parent) for path in snakemake.input.cache)),
        lists={Path(path).stem: path for path in snakemake.input.get("lists", [])},
        task=snakemake.params.task,
        model=snakemake.params.model,
        resize=snakemake.params.resize,
        channels=snakemake.params.channels,
        tta=snakemake.params.tta,
        place=snakemake.params.place,
        runtime=snakemake.params.runtime,
        batch_size=snakemake.params.batch_size,
    )
