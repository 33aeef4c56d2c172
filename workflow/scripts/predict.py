"""trained network and cache -> predictions"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.engine.checkpoint import STATE
    from goldfold.stages.predict import run

    # Snakemake now regards the training as done; until now, a killed training could have resumed from its state.
    (Path(snakemake.input.model).parent / STATE).unlink(missing_ok=True)
    run(
        folder=str(Path(snakemake.output.record).parent),
        weights=snakemake.input.model,
        fold_file=snakemake.input.get("fold") or None,  # none for a network trained on all rows
        classes=snakemake.input.classes,
        caches=snakemake.params.caches,
        metadata=list(snakemake.input.get("metadata", [])),
        lists={Path(path).stem: path for path in snakemake.input.get("lists", [])},
        **made.settings,
    )
