# Its declared output is a marker only. The lists it writes beside are new only when their content is, and later rules
# reach them through the checkpoint: so a touched image re-runs nothing below, and a moved one only its folds.
checkpoint folds:
    input:
        rules.manifest.output,
    output:
        f"{RESULTS}/folds/folds.json",
    log:
        f"{RESULTS}/logs/folds.log",
    benchmark:
        f"{RESULTS}/benchmarks/folds.tsv"
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=CONFIG.folds.model_dump(),
        splits=CONFIG.tables,
        task=slices.task(CONFIG),
        shards=CONFIG.data.shards,
        own_task=OWN_TASK,
        code=source_digest("folds", CONFIG.task),
    script:
        "../scripts/folds.py"
