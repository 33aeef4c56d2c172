# Only where the config names a demo data set; the manifest reads its files as a user's own.
rule demo:
    input:
        recipe=recipe("demo"),
    output:
        data=update(FILES["demo"]["data"]),  # a folder that another run reads is never without its tables
        record=FILES["demo"]["record"],
    log:
        FILES["demo"].log,
    benchmark:
        FILES["demo"].benchmark
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    script:
        "../scripts/demo.py"
