rule pseudo_label:
    input:
        **{source: round_before(source) for source in CONFIG.pseudo_sources},
        recipe=recipe(
            f"{RESULTS}/pseudo/round{{round}}/fold{{fold}}.run.json",
            code=code("pseudo_label"),
            data={
                "models": CONFIG.teachers,
                "seeds": CONFIG.seeds,
                "sources": CONFIG.pseudo_sources,
            },
            task=slices.task(CONFIG),
            threshold=CONFIG.pseudo_labels.threshold,
            **slices.teaching(CONFIG),
        ),
        classes=folds_file("classes.json"),
    output:
        table=f"{RESULTS}/pseudo/round{{round}}/fold{{fold}}.csv",
        record=f"{RESULTS}/pseudo/round{{round}}/fold{{fold}}.run.json",
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
        sources=CONFIG.pseudo_sources,
    script:
        "../scripts/pseudo_label.py"
