rule manifest:
    output:
        tables=expand(f"{RESULTS}/manifest/{{split}}.csv", split=CONFIG.splits),
        quarantine=f"{RESULTS}/manifest/quarantine.csv",
        classes=f"{RESULTS}/manifest/classes.json",
    log:
        f"{RESULTS}/logs/manifest.log",
    benchmark:
        f"{RESULTS}/benchmarks/manifest.tsv"
    params:
        settings=manifest_settings(),
        raw=fingerprint(CONFIG.data.raw_paths()),
        sample=fingerprint(filter(None, [CONFIG.submission.sample])),
        code=source_digest("manifest"),
    threads: 2
    resources:
        mem_mb=2000,
    conda:
        "../../envs/goldfold.yaml"
    script:
        "../scripts/manifest.py"
