"""fold, cache and pseudo labels -> one trained network of ultralytics"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.train_ultralytics import run

    files, settings = snakemake.input, made.settings
    made.facts = run(
        **settings | {"runtime": settings["runtime"] | snakemake.params.how, "start": files.get("start") or None},
        folder=str(Path(snakemake.output.model).parent),
        code=made.recipe["code"]["digest"],
        fold_file=files.fold,
        caches=snakemake.params.caches,
        classes=files.classes,
        histories=list(files.get("histories", [])),
        pseudo=files.get("pseudo") or None,
    )
