# Jobs that end before their time are tried again with more of what they lacked; what is wrong stays wrong.
from snakemake.jobs import Job

REFUSED = "# Refused: the same input and options are not tried again."


def growing(amount):
    """Memory or minutes that grow with every attempt."""

    def of_attempt(wildcards, attempt, threads, rulename):
        check_cores(rulename, threads)
        return amount * attempt

    return of_attempt


def logged(command):
    """The command, with all that it says in the log of its job, below what earlier attempts said.

    Snakemake removes the log before each attempt, so that until one succeeds what was said is kept under a second name
    (where a file system has no such links, earlier attempts are forgotten). Exit code 2, wrong input or options, leaves
    a mark as the last line.
    """
    return (
        'kept={log:q}.attempts; touch "$kept"; ln -f "$kept" {log:q} 2> /dev/null || true\n'
        f"if {{{{ date '+# %F %T'; {command}; }}}} >> {{log:q}} 2>&1\n"
        'then rm -f "$kept"\n'
        f"else code=$?; [ $code != 2 ] || echo '{REFUSED}' >> {{log:q}}; exit $code; fi"
    )


def was_refused(job):
    """Whether the log of a job ends in the mark of a command that refused its input or options."""
    for path in job.log:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines() if Path(path).is_file() else []
        if lines[-1:] == [REFUSED]:
            return True
    return False


# Snakemake's `retries` knows no difference between a job that was killed and one that will never succeed.
if isinstance(getattr(Job, "restart_times", None), property) and not hasattr(Job, "times_to_restart"):
    Job.times_to_restart = Job.restart_times
    Job.restart_times = property(lambda job: 0 if was_refused(job) else job.times_to_restart)
