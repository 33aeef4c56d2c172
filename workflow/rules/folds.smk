# Declares only its record as output. The lists are rewritten only if their content changes, and later rules request them
# through the checkpoint, so a touched image reruns nothing below, and a moved image only its folds.
checkpoint folds:
    input:
        recipe=recipe("folds"),
        crops=FILES["crop"]["tables"] if DETECTOR else [],
        manifest=[
            *rules.manifest.output.tables,
            rules.manifest.output.quarantine,
            rules.manifest.output.duplicates,
            rules.manifest.output.classes,
            rules.manifest.output.class_ids,
        ],
    output:
        record=FILES["folds"]["record"],
    log:
        FILES["folds"].log,
    benchmark:
        FILES["folds"].benchmark
    retries: 0  # overrides a profile: invalid data stay invalid
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        named=slices.given(CONFIG),
        taken=columns.taken(CONFIG),
        coverages=tried.coverages(CONFIG),
    script:
        "../scripts/folds.py"


# Target to build manifest and folds only, before anything is trained.
rule folds_made:
    input:
        rules.folds.output.record,
