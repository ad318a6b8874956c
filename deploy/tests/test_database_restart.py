"""A restart of PostgreSQL costs only the requests that run or start while it is down."""

import contextlib
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import requests

from deploy import services
from deploy.tests.system import System

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        not os.environ.get("DATABASE_URL", "").startswith("postgres"), reason="runs with the tests on PostgreSQL"
    ),
]

READERS = 6
READS = ("/api/v1/shipments", "/api/v1/tracking/NO-SUCH-NUMBER")


class Server:
    """A private PostgreSQL that can be restarted on its port."""

    def __init__(self, url):
        self.url = url
        with psycopg.connect(url) as connection:
            # Its own programs: another version's pg_dump may refuse to read it.
            query = "SELECT current_setting('data_directory'), setting FROM pg_config WHERE name = 'BINDIR'"
            self.data, programs = connection.execute(query).fetchone()
            self.programs = Path(programs)

    def copy(self, url):
        """Copy a database of another server."""
        dump = subprocess.run([self.programs / "pg_dump", url], check=True, stdout=subprocess.PIPE).stdout
        restore = [self.programs / "psql", "-q", "-v", "ON_ERROR_STOP=1", self.url]
        subprocess.run(restore, input=dump, check=True, stdout=subprocess.DEVNULL)

    def control(self, *arguments):
        owner = Path(self.data).stat()
        identity = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        log = Path(self.data).parent / "second.log"
        command = [self.programs / "pg_ctl", "-D", self.data, "-w", "-l", log, *arguments]
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
    system = System(DATABASE_URL=server.url, WEB_CONCURRENCY="1", RATE_LIMITS_ENABLED="false")
    server.copy(system.database.url)
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
