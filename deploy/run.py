"""``make run``: prepare the database and the demo data, then web, worker and sandbox (``Procfile``) until Ctrl-C.

Nothing is asked. Data stays in ``var/`` and is found again by the next run. Ends with 0 when it was asked to stop
(Ctrl-C, SIGTERM, closed terminal) and with 1 when it could not start or one of the processes ended by itself.
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

import environ
from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.process import Popen, Process

ROOT = Path(__file__).resolve().parent.parent
PORTS = {"PORT": "8000", "SANDBOX_PORT": "8010"}
# The seeded merchant's Pickit credential; the sandbox reports the scans of its parcels to this credential's address.
DEMO_CREDENTIAL = "01890000-0000-7000-8000-000000000001"
PARENT_POLL_S = 0.5
STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
STOPPED_ON_REQUEST = {130, 143}


def let_signals_in() -> None:
    """Undo the Supervisor's holding back, in a process that it starts."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


class SupervisedProcess(Process):
    """Honcho's process, started by a parent that holds signals back."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self._child_ctor = functools.partial(Popen, preexec_fn=let_signals_in)


class Supervisor(Manager):
    """Honcho's manager, which can also be stopped while its processes are still being started.

    Honcho forks one reader per process; a Ctrl-C that reaches a reader before it ignores it leaves the others waiting.
    """

    def __init__(self) -> None:
        super().__init__()
        self._process_ctor = SupervisedProcess

    def _start(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        super()._start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def terminate(self) -> None:
        """Ask all processes to stop; a moment later if honcho does not know their numbers yet."""
        if self._all_started():
            super().terminate()
        else:
            retry = threading.Timer(0.1, self.terminate)
            retry.daemon = True
            retry.start()

    def ended_by_itself(self) -> str:
        """The name and status of the process whose end stopped the others."""
        name, process = next((n, p) for n, p in self._processes.items() if p.get("returncode") == self.returncode)
        return f"{name.split('.')[0]} (status {process['returncode']})"

    def leave_nothing(self) -> None:
        """Stop what may still run when the loop itself broke, as when the terminal is gone."""
        for process in self._processes.values():
            if "pid" in process and "returncode" not in process:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process["pid"], signal.SIGTERM)


def fill_environment(root: Path = ROOT) -> None:
    """Set what is missing: ports, and demo mode where nobody configured an installation with a ``.env`` file."""
    settings_file = root / ".env"
    if settings_file.exists():
        environ.Env.read_env(settings_file)
    else:
        os.environ.setdefault("DEBUG", "true")
        # The demo's key and password are known to everybody: nobody from outside.
        os.environ.setdefault("BIND_HOST", "127.0.0.1")
    for name, default in PORTS.items():
        os.environ[name] = os.environ.get(name) or default
    os.environ["DEMO_CREDENTIAL"] = DEMO_CREDENTIAL
    os.environ["PYTHONUNBUFFERED"] = "1"
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def port_trouble(name: str, value: str) -> str | None:
    """Say in one sentence why the port cannot be used, or None when it can."""
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
    """Exit with a sentence for each port that is not free."""
    troubles = [trouble for name in PORTS if (trouble := port_trouble(name, os.environ[name]))]
    if os.environ["PORT"] == os.environ["SANDBOX_PORT"]:
        troubles.append("PORT and SANDBOX_PORT are the same; Waybill and the sandbox need one each.")
    if troubles:
        sys.exit("\n".join(["Waybill was not started.", *troubles]))


def gather_metrics() -> None:
    """Let web and worker count into one directory, so that ``/metrics`` tells of both."""
    directory = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR") or ROOT / os.environ.get("DATA_DIR", "var") / "metrics")
    directory.mkdir(parents=True, exist_ok=True)
    for left_over in directory.glob("*.db"):
        left_over.unlink()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)


def manage(*command: str) -> None:
    """Run a management command and exit when it fails; it has said why."""
    status = subprocess.run([sys.executable, "manage.py", *command], check=False).returncode
    if status:
        sys.exit(f"Waybill was not started: manage.py {command[0]} failed (status {status}); its words stand above.")


def catches_interrupt(pid: int) -> bool:
    """Whether a process has a handler for SIGINT; False when it is gone or the system does not tell (see proc(5))."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & 1 << signal.SIGINT - 1)


def watch_parent(supervisor: Supervisor) -> None:
    """Stop when make is gone or alone got the SIGINT.

    A terminal sends Ctrl-C to make and to us. ``kill -INT`` reaches make alone, which passes on SIGTERM but not SIGINT:
    it drops its handler and waits for us, for ever.
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
    """Ask honcho's loop, which runs in this process, to stop everything."""
    os.kill(os.getpid(), signal.SIGTERM)


def supervise() -> int:
    """Run the Procfile until somebody stops it or one process ends; the exit status for make."""
    supervisor = Supervisor()
    for name, command in parse_procfile(Path("Procfile").read_text()).processes.items():
        supervisor.add_process(f"{name}.1", command)
    signal.signal(signal.SIGHUP, stop_supervisor)
    watch_parent(supervisor)
    try:
        supervisor.loop()
    finally:
        supervisor.leave_nothing()
    if supervisor.returncode in STOPPED_ON_REQUEST:
        print("Waybill has stopped. Its data is kept for the next run.")
        return 0
    print(f"Waybill has stopped, because {supervisor.ended_by_itself()} ended; its last lines stand above.")
    return 1


def main() -> int:
    """Prepare and run."""
    os.chdir(ROOT)
    fill_environment()
    check_ports()
    gather_metrics()
    manage("migrate", "--verbosity", "0")
    manage("seed_demo")
    return supervise()


def stop_quietly(*_: object) -> None:
    """Leave on a signal that arrives before the processes are started."""
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, stop_quietly)
    signal.signal(signal.SIGTERM, stop_quietly)
    sys.exit(main())
