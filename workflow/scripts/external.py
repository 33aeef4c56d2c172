"""files of another tool -> predictions of a member"""

from pathlib import Path

from goldfold.lineage.job import job

with job(snakemake) as made:
    from goldfold.stages.external import run

    tables = {"train": snakemake.input.train, "test": snakemake.input.test}
    made.facts = run(
        folder=str(Path(snakemake.output.record).parent),
        lists={split: str(path) for split, path in tables.items() if path},
        classes=snakemake.input.classes,
        class_ids=snakemake.input.class_ids,
        **made.settings,
    )
