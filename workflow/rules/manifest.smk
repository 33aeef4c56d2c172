rule manifest:
    input:
        recipe=recipe("manifest"),
        data=FILES["demo"]["data"],
    output:
        tables=FILES["manifest"]["tables"],
        quarantine=FILES["manifest"]["quarantine"],
        duplicates=FILES["manifest"]["duplicates"],
        classes=FILES["manifest"]["classes"],
        class_ids=FILES["manifest"]["class_ids"],
        generated=FILES["manifest"]["generated"],
        record=FILES["manifest"]["record"],
    log:
        FILES["manifest"].log,
    benchmark:
        FILES["manifest"].benchmark
    retries: 0  # overrides a profile: invalid data stay invalid
    conda:
        "../../envs/goldfold.yaml"
    threads: 2
    resources:
        mem_mb=2000,
    params:
        with_classes=with_classes.settings(CONFIG),
    script:
        "../scripts/manifest.py"
