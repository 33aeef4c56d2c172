# Further training images, by a generator that learns from the training images of the fold alone.
rule generate:
    input:
        recipe=recipe("generate"),
        fold=case_list("generate"),
        classes=folds_file("classes.json"),
        cache=cache_for("generate"),
        checked=checked_first("generate"),
    output:
        images=FILES["generate"]["images"],
        ids=FILES["generate"]["ids"],
        record=FILES["generate"]["record"],
    log:
        FILES["generate"].log,
    benchmark:
        FILES["generate"].benchmark
    wildcard_constraints:
        model="|".join({name for name, _ in PLAN.generating}) or "none",
    conda:
        "../../envs/goldfold.yaml"
    threads: CONFIG.runtime.torch_threads
    resources:
        gpu=1,
        mem_mb=CONFIG.runtime.train_mem_mb,
    params:
        gpus=slices.gpus(CONFIG),
        caches=cache_folders("generate"),
    script:
        "../scripts/generate.py"
