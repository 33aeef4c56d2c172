"""fold, cache and pseudo labels -> one trained network"""

from pathlib import Path

from goldfold.runtime.job import job

with job(snakemake):
    from goldfold.stages.train import run

    run(
        folder=str(Path(snakemake.output.model).parent),
        fold_file=snakemake.input.fold,
        classes=snakemake.input.classes,
        caches=list(dict.fromkeys(str(Path(path).parent) for path in snakemake.input.cache)),
        pseudo=snakemake.input.get("pseudo") or None,
        task=snakemake.params.task,
        metric=snakemake.params.metric,
        model=snakemake.params.model,
        resize=snakemake.params.resize,
        channels=snakemake.params.channels,
        place=snakemake.params.place,
        pseudo_weight=snakemake.params.pseudo_weight,
        runtime={**snakemake.params.runtime, "loader_workers": snakemake.resources.loader_workers},
    )
