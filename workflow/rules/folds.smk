# Its declared output is its record only. The lists it writes beside are new only when their content is, and later rules
# reach them through the checkpoint: so a touched image re-runs nothing below, and a moved one only its folds.
checkpoint folds:
    input:
        recipe=recipe("folds"),
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
    retries: 0  # of a profile: wrong data stay wrong
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        named=slices.given(CONFIG),
        taken=slices.taken(CONFIG),
    script:
        "../scripts/folds.py"


# A target for whoever wants to know what the data are, and what will run, before anything is trained.
rule folds_made:
    input:
        rules.folds.output.record,
