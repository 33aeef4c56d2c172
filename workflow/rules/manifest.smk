rule manifest:
    input:
        recipe=recipe(
            f"{RESULTS}/manifest/run.json",
            code=code("manifest"),
            data=lambda wildcards: {path: fingerprint([path]) for path in RAW},
            **slices.manifest(CONFIG),
        ),
    output:
        tables=expand(f"{RESULTS}/manifest/{{split}}.csv", split=CONFIG.tables),
        quarantine=f"{RESULTS}/manifest/quarantine.csv",
        duplicates=f"{RESULTS}/manifest/duplicates.csv",
        classes=f"{RESULTS}/manifest/classes.json",
        class_ids=f"{RESULTS}/manifest/class_ids.json",
        generated=CONFIG.data.generated,
        record=f"{RESULTS}/manifest/run.json",
    log:
        f"{RESULTS}/logs/manifest.log",
    benchmark:
        f"{RESULTS}/benchmarks/manifest.tsv"
    retries: 0  # of a profile: wrong data stay wrong
    conda:
        "../../envs/goldfold.yaml"
    threads: 2
    resources:
        mem_mb=2000,
    script:
        "../scripts/manifest.py"
