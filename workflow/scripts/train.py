"""fold, cache and pseudo labels -> one trained network"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.train import run

    made.facts = run(
        folder=str(Path(snakemake.output.model).parent),
        fold_file=snakemake.input.fold,
        classes=snakemake.input.classes,
        caches=snakemake.params.caches,
        metadata=list(snakemake.input.get("metadata", [])),
        groups=list(snakemake.input.get("groups", [])),
        pseudo=snakemake.input.get("pseudo") or None,
        lessons=list(snakemake.input.get("lessons", [])),
        unlabeled=list(snakemake.input.get("unlabeled", [])),
        histories=list(snakemake.input.get("histories", [])),
        code=made.recipe["code"]["digest"],
        **{
            **made.settings,
            "runtime": {**made.settings["runtime"], **snakemake.params.how},
            "start": snakemake.input.get("start") or None,
            "clean": snakemake.input.get("clean") or None,
            "generated": str(Path(images).parent) if (images := snakemake.input.get("generated")) else None,
        },
    )
