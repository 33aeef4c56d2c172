rule pseudo_label:
    input:
        **{source: round_before(source) for source in CONFIG.pseudo_sources},
        classes=folds_file("classes.json"),
    output:
        f"{RESULTS}/pseudo/round{{round}}/fold{{fold}}.csv",
    log:
        f"{RESULTS}/logs/pseudo/round{{round}}/fold{{fold}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/pseudo/round{{round}}/fold{{fold}}.tsv"
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        task=slices.task(CONFIG),
        sources=CONFIG.pseudo_sources,
        threshold=CONFIG.pseudo_labels.threshold,
        own_task=OWN_TASK,
        code=source_digest("pseudo_label", CONFIG.task),
    script:
        "../scripts/pseudo_label.py"
