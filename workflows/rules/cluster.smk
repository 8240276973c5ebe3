# What a SLURM cluster lacks, found out before the first job is submitted: without it, Snakemake would wait for ever.
from functools import cache

from snakemake.logging import logger


def said(*command):
    """The words that a program prints, None where it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.split() if done.returncode == 0 else None


@cache
def most_cores():
    """Cores of the largest node, None without SLURM; where no accounts are kept, `squeue` is asked instead of them."""
    settings = workflow.executor_settings
    if not workflow.is_main_process or type(settings).__module__ != "snakemake_executor_plugin_slurm":
        return None
    if settings.status_command == "sacct" and said("sacct", "--noheader", "--allocations") is None:
        logger.info("This SLURM keeps no accounts (`sacct` fails): `squeue` is asked what became of jobs.")
        settings.status_command = "squeue"
    cores = [int(re.sub(r"\D", "", number)) for number in said("sinfo", "--noheader", "--format=%c") or []]
    return max(cores, default=None)


def check_cores(rule, threads):
    """Raises WorkflowError where a job would wait for a node that there is not."""
    most = most_cores()
    if most is not None and threads > most:
        raise WorkflowError(
            f"A job of {rule} asks for {threads} cores, and no node has more than {most}: it would wait for ever. Write "
            f"--set-threads {rule}={most}, or that number below set-threads in the profile."
        )
