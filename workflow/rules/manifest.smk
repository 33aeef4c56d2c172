rule manifest:
    output:
        tables=expand(f"{RESULTS}/manifest/{{split}}.csv", split=CONFIG.tables),
        quarantine=f"{RESULTS}/manifest/quarantine.csv",
        classes=f"{RESULTS}/manifest/classes.json",
        class_ids=f"{RESULTS}/manifest/class_ids.json",
    log:
        f"{RESULTS}/logs/manifest.log",
    benchmark:
        f"{RESULTS}/benchmarks/manifest.tsv"
    conda:
        "../../envs/goldfold.yaml"
    threads: 2
    resources:
        mem_mb=2000,
    params:
        settings=slices.manifest(CONFIG),
        raw=fingerprint(CONFIG.data.raw_paths()),
        sample=fingerprint(CONFIG.data.owned(CONFIG.submission.sample)),
        own_task=OWN_TASK,
        code=source_digest("manifest", CONFIG.task),
    script:
        "../scripts/manifest.py"
