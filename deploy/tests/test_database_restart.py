"""A restart of PostgreSQL costs only the requests that run or start while it is down."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import requests

from deploy import services
from deploy.tests.system import ROOT, System

pytestmark = [
    pytest.mark.system,
    pytest.mark.once,  # the server is always PostgreSQL
    pytest.mark.skipif(services.find_program("initdb") is None and not os.environ.get("CI"), reason="no PostgreSQL"),
]

READERS = 6
READS = ("/api/v1/shipments", "/api/v1/tracking/NO-SUCH-NUMBER")


class Server:
    """A private PostgreSQL that can be restarted on its port."""

    def __init__(self, url):
        self.url = url
        with psycopg.connect(url) as connection:
            self.data = connection.execute("SELECT current_setting('data_directory')").fetchone()[0]

    def control(self, *arguments):
        program = str(Path(services.program("initdb")).parent / "pg_ctl")
        owner = Path(self.data).stat()
        identity = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        command = [program, "-D", self.data, "-w", "-l", str(Path(self.data).parent / "second.log"), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=Path(self.data).parent, **identity)


@pytest.fixture(scope="module")
def server():
    with services.postgres() as url:
        server = Server(url)
        yield server
        with contextlib.suppress(subprocess.CalledProcessError):
            server.control("stop", "-m", "immediate")


@pytest.fixture(scope="module")
def system(server):
    environment = os.environ | {"DEBUG": "true", "DATABASE_URL": server.url}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    system = System(DATABASE_URL=server.url, WEB_CONCURRENCY="1", RATE_LIMITS_ENABLED="false")
    system.manage("seed_demo")
    system.start("web")
    yield system
    system.close()


def test_requests_fail_only_while_the_database_is_down(server, system):
    answers, done = [], threading.Event()

    def read(number):
        with requests.Session() as session:
            session.headers["X-API-Key"] = "test-api-key"
            while not done.is_set():
                began = time.monotonic()
                response = session.get(system.web + READS[number % 2], timeout=60)
                answers.append((began, response.status_code))

    def wait_for_answers(count):
        target, give_up = len(answers) + count, time.monotonic() + 60
        while len(answers) < target and time.monotonic() < give_up:
            time.sleep(0.05)
        assert len(answers) >= target

    with ThreadPoolExecutor(READERS) as pool:
        readers = [pool.submit(read, number) for number in range(READERS)]
        try:
            for _ in range(2):
                # Several connections are in the pool, and all of them die.
                wait_for_answers(10 * READERS)
                stopped = time.monotonic()
                server.control("restart", "-m", "fast")
                up = time.monotonic()
                wait_for_answers(10 * READERS)
                wrong = [began for began, status in answers if status >= 500]
                assert all(began < up for began in wrong), [began - up for began in wrong]
                assert len([began for began, _status in answers if began < stopped]) >= 10 * READERS
        finally:
            done.set()
        for reader in readers:
            reader.result()
    assert {status for _began, status in answers if status < 500} == {200, 404}


def test_idle_connections_that_died_fail_no_read(server, system):
    def read(path):
        headers = {"X-API-Key": "test-api-key"}
        return requests.get(system.web + path, headers=headers, timeout=60).status_code

    with ThreadPoolExecutor(READERS) as pool:
        for _ in range(3):
            assert set(pool.map(read, READS * READERS)) == {200, 404}
            server.control("restart", "-m", "fast")
        assert set(pool.map(read, READS * READERS)) == {200, 404}
