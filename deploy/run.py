"""``make run``: prepare the database and the demo data, then run web, worker and sandbox (``Procfile``) until Ctrl-C.

Data stays in ``var/`` for the next run. The exit status is 0 after Ctrl-C, SIGTERM or a closed terminal,
and 1 if the start failed or one of the processes ended by itself.
"""

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.process import Popen, Process

from config import environment, startup

ROOT = Path(__file__).resolve().parent.parent
PORTS = {"PORT": "8000", "SANDBOX_PORT": "8010"}
# The seeded merchant's Pickit credential; the sandbox sends the scans of its parcels to this credential's URL.
DEMO_CREDENTIAL = "01890000-0000-7000-8000-000000000001"
PARENT_POLL_S = 0.5
STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
STOPPED_ON_REQUEST = {130, 143}


def unblock_signals() -> None:
    """Unblock signals in a process that the Supervisor starts."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


class SupervisedProcess(Process):
    """Honcho's process, started by a parent that blocks signals."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self._child_ctor = functools.partial(Popen, preexec_fn=unblock_signals)


class Supervisor(Manager):
    """Honcho's manager, which can also be stopped while its processes start.

    Honcho forks one reader per process. If Ctrl-C reaches a reader before it ignores SIGINT, the others wait endlessly.
    """

    def __init__(self) -> None:
        super().__init__()
        self._process_ctor = SupervisedProcess

    def _start(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        super()._start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def terminate(self) -> None:
        """Stop all processes; try again later if honcho does not know their process ids yet."""
        if self._all_started():
            super().terminate()
        else:
            retry = threading.Timer(0.1, self.terminate)
            retry.daemon = True
            retry.start()

    def ended_by_itself(self) -> str:
        """Return name and status of the process that ended first."""
        name, process = next((n, p) for n, p in self._processes.items() if p.get("returncode") == self.returncode)
        return f"{name.split('.')[0]} (status {process['returncode']})"

    def stop_remaining(self) -> None:
        """Stop processes that still run after an error in the loop, for example a closed terminal."""
        for process in self._processes.values():
            if "pid" in process and "returncode" not in process:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process["pid"], signal.SIGTERM)


def fill_environment(root: Path = ROOT) -> None:
    """Set missing variables: the ports, and demo mode if there is no ``.env`` file."""
    settings_file = root / ".env"
    if settings_file.exists():
        environment.read_file(settings_file, os.environ)
    else:
        os.environ.setdefault("DEBUG", "true")
        # The demo's key and password are public, so only this machine may connect.
        os.environ.setdefault("BIND_HOST", "127.0.0.1")
    for name, default in PORTS.items():
        os.environ[name] = os.environ.get(name) or default
    os.environ["DEMO_CREDENTIAL"] = DEMO_CREDENTIAL
    if os.environ.get("DEBUG", "").lower() == "true":  # the sandbox reaches this address; a real carrier does not
        os.environ.setdefault("CARRIER_CALLBACK_URL", f"http://127.0.0.1:{os.environ['PORT']}")
    os.environ["PYTHONUNBUFFERED"] = "1"
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def port_problem(name: str, value: str) -> str | None:
    """Return a sentence that says why the port cannot be used, or None."""
    if not (value.isdecimal() and 0 < int(value) < 65536):
        return f"{name}={value} is not a port number."
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", int(value)))
        except PermissionError:
            return f"Port {value} ({name}) is reserved for the system. Choose a number above 1023."
        except OSError:
            return f"Port {value} ({name}) is taken. Stop what uses it, or choose another: make run {name}=<port>"
    return None


def check_ports() -> None:
    """Exit with a sentence for each port that cannot be used."""
    problems = [problem for name in PORTS if (problem := port_problem(name, os.environ[name]))]
    if os.environ["PORT"] == os.environ["SANDBOX_PORT"]:
        problems.append("PORT and SANDBOX_PORT are the same; Waybill and the sandbox need one each.")
    if problems:
        sys.exit("\n".join(["Waybill was not started.", *problems]))


def gather_metrics() -> None:
    """Make web and worker write their metrics to one directory, so that ``/metrics`` shows both."""
    directory = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR") or ROOT / os.environ.get("DATA_DIR", "var") / "metrics")
    directory.mkdir(parents=True, exist_ok=True)
    for left_over in directory.glob("*.db"):
        left_over.unlink()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)


def manage(*command: str) -> None:
    """Run a management command; exit if it fails."""
    status = subprocess.run([sys.executable, "manage.py", *command], check=False).returncode
    if status:
        sys.exit(f"Waybill was not started: manage.py {command[0]} failed (status {status}); see its output above.")


def catches_interrupt(pid: int) -> bool:
    """Return whether a process handles SIGINT; False if it has ended or the system has no /proc (see proc(5))."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & 1 << signal.SIGINT - 1)


def watch_parent(supervisor: Supervisor) -> None:
    """Stop if make has ended or received SIGINT alone.

    A terminal sends Ctrl-C to make and to this process. ``kill -INT`` reaches make alone: it forwards SIGTERM but not
    SIGINT, removes its handler and waits for this process without limit.
    """
    parent = os.getppid()
    if not catches_interrupt(parent):
        return

    def look(*_: object) -> None:
        if supervisor.returncode is None and (os.getppid() != parent or not catches_interrupt(parent)):
            stop_supervisor()

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, PARENT_POLL_S, PARENT_POLL_S)


def stop_supervisor(*_: object) -> None:
    """Stop all processes: send SIGTERM to this process, which runs honcho's loop."""
    os.kill(os.getpid(), signal.SIGTERM)


def supervise() -> int:
    """Run the Procfile until it is stopped or one process ends; return the exit status."""
    supervisor = Supervisor()
    for name, command in parse_procfile(Path("Procfile").read_text()).processes.items():
        supervisor.add_process(f"{name}.1", command)
    signal.signal(signal.SIGHUP, stop_supervisor)
    watch_parent(supervisor)
    try:
        supervisor.loop()
    finally:
        supervisor.stop_remaining()
    if supervisor.returncode in STOPPED_ON_REQUEST:
        print("Waybill has stopped. Its data is kept for the next run.")
        return 0
    print(f"Waybill has stopped, because {supervisor.ended_by_itself()} ended; see its last lines above.")
    return 1


def main() -> int:
    """Prepare and run."""
    os.chdir(ROOT)
    startup.warn_once(print)  # before the defaults of demo mode are set
    fill_environment()
    check_ports()
    gather_metrics()
    manage("migrate", "--verbosity", "0")
    manage("seed_demo")
    return supervise()


def stop_quietly(*_: object) -> None:
    """Exit on a signal that arrives before the processes are started."""
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, stop_quietly)
    signal.signal(signal.SIGTERM, stop_quietly)
    sys.exit(main())
