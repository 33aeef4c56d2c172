# Runs only if the config names a demo data set; the manifest reads its files like user data.
rule demo:
    input:
        recipe=recipe("demo"),
    output:
        data=update(FILES["demo"]["data"]),  # not deleted first: another run may be reading the folder
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
