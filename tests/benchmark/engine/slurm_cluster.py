"""A Slurm cluster of two nodes on this machine's loopback, with free ports, for as long as a test needs it.

    python -m tests.benchmark.engine.slurm_cluster     # starts one, prints SLURM_CONF, and stops it at Ctrl-C

Needs slurm-wlm (Debian) and root, since slurmd starts jobs as their users. No munge: auth/none, reachable from 127.0.0.1 alone.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

CONFIG = """\
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
ReturnToService=2
JobRequeue=1
KillWait=2
SlurmdTimeout=10
SlurmctldTimeout=10
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=4000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""
DAEMONS = ("slurmctld", "slurmd")
SECONDS = 60.0
"""How long the cluster may take to come up or go down."""


def missing() -> str:
    """Why no cluster can be started here; empty where one can."""
    absent = [name for name in (*DAEMONS, "sbatch", "squeue") if not shutil.which(name, path=_path())]
    if absent:
        return f"no Slurm here ({', '.join(absent)} not found): apt-get install slurm-wlm"
    return "" if os.geteuid() == 0 else "slurmd starts jobs only as root"


@contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """A running cluster that keeps its files in `folder`; gives the environment variables its commands need."""
    for name in ("state", "spool", "log"):
        (folder / name).mkdir(parents=True)
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(host=os.uname().nodename, folder=folder, ports=_free_ports(3)))
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
    variables = {"SLURM_CONF": str(config), "PATH": _path()}
    with ExitStack() as stack:
        for command in (["slurmctld", "-D"], ["slurmd", "-D", "-N", "n1"], ["slurmd", "-D", "-N", "n2"]):
            stack.enter_context(_daemon(command, variables))
        _until(lambda: _idle(variables), f"no idle nodes; see {folder}/log")
        yield variables
        ask(variables, "scancel", f"--user={os.getuid()}")
        _until(lambda: not ask(variables, "squeue", "--noheader"), "jobs do not end")


def ask(variables: dict[str, str], *command: str) -> str:
    """What a Slurm command prints."""
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=SECONDS)
    return done.stdout.strip()


@contextmanager
def _daemon(command: Sequence[str], variables: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        command,
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _idle(variables: dict[str, str]) -> bool:
    return sorted(ask(variables, "sinfo", "--noheader", "--Node", "--format=%N %T").split("\n")) == [
        "n1 idle",
        "n2 idle",
    ]


def _until(condition: Callable[[], bool], complaint: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(complaint)
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens on; all are taken at once, so that they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory(prefix="slurm") as place, slurm(Path(place)) as needed:
        print(f"export SLURM_CONF={needed['SLURM_CONF']}", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
