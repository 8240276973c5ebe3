# Suites of data sets x methods x sizes x seeds: several jobs compute the cells of one folder, then tables and a report.


rule benchmarks:
    """Tables and a report for every suite."""
    input:
        expand(f"{RESULTS}/benchmark/{{suite}}/report.html", suite=SUITES),


rule benchmark_cells:
    """Compute cells of a suite, together with the other jobs on its folder."""
    input:
        lambda wildcards: [path for path in [SUITES[wildcards.suite]] if is_file(path)],
    output:
        # Cells lie in files of their own, which survive a killed job: the next attempt goes on from them.
        touch(f"{RESULTS}/benchmark/jobs/{{suite}}.{{job}}.done"),
    log:
        f"{LOGS}/benchmark_cells/{{suite}}.{{job}}.log",
    benchmark:
        f"{TIMINGS}/benchmark_cells/{{suite}}.{{job}}.tsv"
    conda:
        "../envs/seqreg.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(720),
    params:
        suite=lambda wildcards: shlex.quote(SUITES[wildcards.suite]),
        folder=f"{RESULTS}/benchmark/{{suite}}",
        device=config["device"],
    shell:
        logged(
            "seqreg benchmark {params.suite} --output {params.folder:q} --workers {threads} --device {params.device}"
            " --retry"
        )


rule benchmark_tables:
    """Gather the cells of a suite into tables and a report."""
    input:
        expand(
            f"{RESULTS}/benchmark/jobs/{{{{suite}}}}.{{job}}.done",
            job=range(1, config["benchmark"]["jobs"] + 1),
        ),
    output:
        report(
            f"{RESULTS}/benchmark/{{suite}}/report.html",
            caption="../report/benchmark.rst",
            category="Benchmarks",
            subcategory="{suite}",
            labels={"what": "report"},
        ),
        report(
            f"{RESULTS}/benchmark/{{suite}}/results.tsv",
            caption="../report/results.rst",
            category="Benchmarks",
            subcategory="{suite}",
            labels={"what": "every cell"},
        ),
        f"{RESULTS}/benchmark/{{suite}}/table.md",
        f"{RESULTS}/benchmark/{{suite}}/summary.json",
    log:
        f"{LOGS}/benchmark_tables/{{suite}}.log",
    benchmark:
        f"{TIMINGS}/benchmark_tables/{{suite}}.tsv"
    conda:
        "../envs/seqreg.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        suite=lambda wildcards: shlex.quote(SUITES[wildcards.suite]),
        folder=run_folder,
        device=config["device"],
    shell:
        logged("seqreg benchmark {params.suite} --output {params.folder:q} --device {params.device}")
