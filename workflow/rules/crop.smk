# Crops by the boxes of a detector, whose own rules are those of the module `detector` (Snakefile).


# Needs no boxes: images that cannot be matched with the detector's end the run before the detector is trained.
rule match:
    input:
        recipe=recipe("match"),
        tables=rules.manifest.output.tables,
        own=lambda wildcards: DETECTOR.every_list(wildcards),
        classes=lambda wildcards: DETECTOR.folds_file("classes.json")(wildcards),
    output:
        table=FILES["match"]["table"],
        record=FILES["match"]["record"],
    log:
        FILES["match"].log,
    benchmark:
        FILES["match"].benchmark
    retries: 0  # overrides a profile: invalid data stay invalid
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    script:
        "../scripts/match.py"


rule crop:
    input:
        recipe=recipe("crop"),
        tables=rules.manifest.output.tables,
        images=rules.match.output.table,
        boxes=PLAN.boxes,
        classes=lambda wildcards: DETECTOR.folds_file("classes.json")(wildcards),
    output:
        tables=FILES["crop"]["tables"],
        record=FILES["crop"]["record"],
    log:
        FILES["crop"].log,
    benchmark:
        FILES["crop"].benchmark
    conda:
        "../../envs/goldfold.yaml"
    threads: CONFIG.runtime.torch_threads
    resources:
        gpu=1,
        mem_mb=CONFIG.runtime.train_mem_mb,
    params:
        gpus=slices.gpus(CONFIG),
    script:
        "../scripts/crop.py"
