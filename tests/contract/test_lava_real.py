"""The adapter of LAVA labs, against a LAVA server of our own on a PostgreSQL of our own."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from kcibot.errors import TransientError
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.labs import LavaStandIn
from tests.contract.lava_contract import APIS, NAME, OTHER, TOKEN, USER, WRONG, Api, LavaContract, lab_at

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

STARTS_WITHIN = 60.0
OTHERS_TOKEN = "s3cret0token0of0somebody0else"
STATES = ("Submitted", "Scheduling", "Scheduled", "Running", "Canceling", "Finished")
DEVICE_STATES = ("Idle", "Reserved", "Running")
DEVICE_HEALTHS = ("Good", "Unknown", "Looping", "Bad", "Maintenance", "Retired")

JOB = """
job_name: "{description}"
device_type: {device_type}
visibility: {visibility}
timeouts: {{job: {{minutes: 5}}, action: {{minutes: 1}}}}
actions:
- command: {{name: hello}}
"""

CONTENTS = f"""
from django.contrib.auth.models import User
from lava_scheduler_app.models import DeviceType, Worker
from linaro_django_xmlrpc.models import AuthToken
Worker.objects.get_or_create(hostname="worker-1")
for name in ("qemu", "panda"):
    DeviceType.objects.create(name=name)
for name, secret in (({USER!r}, {TOKEN!r}), ({OTHER!r}, {OTHERS_TOKEN!r})):
    AuthToken.objects.create(user=User.objects.create_user(name), secret=secret)
"""

COPY = """
DO $$ DECLARE columns text; BEGIN
  SELECT string_agg(quote_ident(column_name), ',') INTO columns FROM information_schema.columns
    WHERE table_name = 'lava_scheduler_app_testjob' AND column_name NOT IN ('id', 'token');
  EXECUTE format('INSERT INTO lava_scheduler_app_testjob (token, %s) SELECT md5(random()::text), %s '
    'FROM lava_scheduler_app_testjob, generate_series(1, COPIES) WHERE id = IDENT', columns, columns);
END $$
"""


def as_nobody() -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []


def postgres_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, stdin: str = "") -> str:
    done = subprocess.run(
        command,
        input=stdin,
        env={**os.environ, **(environment or {})},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=STARTS_WITHIN,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@contextmanager
def postgres(programs: Path, folder: Path) -> Iterator[int]:
    """Its port; the database and its user are called lava."""
    port, data, log = free_port(), folder / "data", folder / "log"
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    make = [str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "lava", "--no-sync", "-E", "UTF8"]
    run([*as_nobody(), *make, "--locale=C.UTF-8"])
    control = [*as_nobody(), str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(log)]
    # What stays in the background must not keep the pipe of the one who started it.
    subprocess.run([*control, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=30)
    try:
        run([str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "lava", "lava"])
        yield port
    finally:
        run([*control, "-m", "immediate", "stop"])


@contextmanager
def web_server(port: int, environment: Mapping[str, str], log: Path) -> Iterator[str]:
    packages = Path(
        run(["/usr/bin/python3", "-c", "import lava_server; print(lava_server.__path__[0])"]).strip()
    ).parent
    command = ["/usr/bin/gunicorn", "-b", f"127.0.0.1:{port}", "-w", "1", "--threads", "4", "lava_server.wsgi"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=packages,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield ready(f"http://127.0.0.1:{port}", log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def ready(url: str, log: Path) -> str:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        with suppress(requests.RequestException):
            if requests.get(f"{url}/api/v0.2/system/version/", timeout=5).ok:
                return url
        time.sleep(0.05)
    return pytest.fail(f"LAVA did not start: {log.read_text()[-2000:]}")


@dataclass(frozen=True)
class RealLab:
    """A LAVA that can be told what is in it: jobs are submitted, their states are put into the database."""

    url: str
    psql: tuple[str, ...]

    def sql(self, statement: str, **values: object) -> str:
        variables = [word for name, value in values.items() for word in ("-v", f"{name}={value}")]
        return run([*self.psql, "-qtA", "-v", "ON_ERROR_STOP=1", *variables], stdin=statement)

    def empty(self) -> None:
        self.sql("TRUNCATE lava_scheduler_app_testjob, lava_scheduler_app_device RESTART IDENTITY CASCADE")

    def submit(self, user: str, device_type: str, description: str, visibility: str = "public") -> str:
        # It takes jobs only for a type that it has a board of.
        self.add_device("for-a-moment", device_type, "Idle", "Unknown")
        definition = JOB.format(description=description, device_type=device_type, visibility=visibility)
        answer = requests.post(
            f"{self.url}/api/v0.2/jobs/",
            json={"definition": definition},
            headers={"Authorization": f"Token {TOKEN if user == USER else OTHERS_TOKEN}"},
            timeout=10,
        )
        assert answer.status_code == 201, answer.text
        self.sql("DELETE FROM lava_scheduler_app_device WHERE hostname = 'for-a-moment'")
        return str(answer.json()["job_ids"][0])

    def submit_many(self, user: str, device_type: str, count: int) -> None:
        ident = self.submit(user, device_type, "one of many")
        self.sql(COPY.replace("COPIES", str(count - 1)).replace("IDENT", ident))

    def put(self, ident: str, state: str) -> None:
        self.sql(
            "UPDATE lava_scheduler_app_testjob SET state = :state, start_time = submit_time WHERE id = :ident",
            state=STATES.index(state),
            ident=ident,
        )

    def add_device(self, name: str, device_type: str, state: str, health: str) -> None:
        self.sql(
            "INSERT INTO lava_scheduler_app_device"
            " (hostname, device_type_id, worker_host_id, state, health, is_synced)"
            " VALUES (:'name', :'type', 'worker-1', :state, :health, false)",
            name=name,
            type=device_type,
            state=DEVICE_STATES.index(state),
            health=DEVICE_HEALTHS.index(health),
        )


@pytest.fixture(scope="module")
def lava() -> Iterator[RealLab]:
    programs = postgres_programs()
    if programs is None or not shutil.which("lava-server") or not Path("/usr/bin/gunicorn").exists():
        pytest.skip("needs: apt-get install postgresql lava-server lava-common gunicorn")
    # Not pytest's own folder, which PostgreSQL's user may not enter.
    with tempfile.TemporaryDirectory(prefix="lava-") as name:
        folder = Path(name)
        if as_nobody():
            shutil.chown(folder, "nobody", "nogroup")
        with lava_in(folder, programs) as lab:
            yield lab


@contextmanager
def lava_in(folder: Path, programs: Path) -> Iterator[RealLab]:
    with postgres(programs, folder) as port:
        environment = {
            "DATABASE_URL": f"postgres://lava@127.0.0.1:{port}/lava",
            "SECRET_KEY": "of this test alone, and of nothing else at all",
            "ALLOWED_HOSTS": "127.0.0.1",
        }
        run(["lava-server", "manage", "migrate", "--noinput"], environment)
        run(["lava-server", "manage", "shell", "-c", CONTENTS], environment)
        with web_server(free_port(), environment, folder / "web.log") as url:
            psql = (str(programs / "psql"), "-h", "127.0.0.1", "-p", str(port), "-U", "lava", "lava")
            yield RealLab(url, psql)


@pytest.fixture
def world(lava: RealLab) -> RealLab:
    lava.empty()
    return lava


class TestRealLava(LavaContract):
    pass


@pytest.mark.parametrize("api", APIS)
def test_our_own_private_jobs_count(world: RealLab, api: Api) -> None:
    world.submit(USER, "qemu", "private", visibility="personal")
    assert lab_at(world.url, api).look().submitted == 1


@pytest.mark.parametrize("api", APIS)
def test_a_lab_whose_database_is_in_trouble_is_transient(world: RealLab, api: Api) -> None:
    for table in ("linaro_django_xmlrpc_authtoken", "lava_scheduler_app_testjob"):
        world.sql(f"ALTER TABLE {table} RENAME TO away")
        try:
            with pytest.raises(TransientError):
                lab_at(world.url, api).look()
        finally:
            world.sql(f"ALTER TABLE away RENAME TO {table}")


# ---- the stand-in answers like the real one ------------------------------------------------------------------------

GOOD, BAD = ({"Authorization": f"Token {token}"} for token in (TOKEN, WRONG))
REST = (
    ("jobs/?state__in=Submitted,Running&submitter__username=kernel-ci&ordering=id&id__gt=0&limit=1", GOOD),
    ("jobs/?state__in=Running", GOOD),
    ("jobs/?submitter__username=nobody-known", GOOD),
    ("jobs/?state__in=Nonsense", GOOD),
    ("jobs/?limit=1&offset=1&ordering=id", GOOD),
    ("jobs/", BAD),
    ("jobs/?ordering=-id", {}),
    ("devices/?ordering=hostname&limit=1", GOOD),
    ("system/version/", {}),
    ("system/whoami/", GOOD),
    ("system/whoami/", BAD),
    ("system/whoami/", {}),
    ("system/nonsense/", GOOD),
)
LOGIN = (USER, TOKEN)
CALLS: tuple[tuple[str, tuple[object, ...], tuple[str, str] | None], ...] = (
    ("system.version", (), None),
    ("system.whoami", (), LOGIN),
    ("system.whoami", (), None),
    ("system.whoami", (), (USER, WRONG)),
    ("system.whoami", (), ("nobody-known", TOKEN)),
    ("system.multicall", ([{"methodName": "scheduler.jobs.show", "params": [ident]} for ident in ("1", "99")],), LOGIN),
    ("scheduler.all_devices", (), LOGIN),
    ("scheduler.jobs.list", ("SUBMITTED", None, 0, 50), LOGIN),
    ("scheduler.jobs.list", ("SUBMITTED", None, 1, 1), LOGIN),
    ("scheduler.jobs.list", ("RUNNING", None, 0, 50), LOGIN),
    ("scheduler.jobs.list", ("NONSENSE", None, 0, 50), LOGIN),
    ("scheduler.jobs.list", (), LOGIN),
    ("scheduler.jobs.show", ("1",), LOGIN),
    ("scheduler.jobs.show", ("99",), LOGIN),
    ("scheduler.nonsense", (), LOGIN),
)


@pytest.fixture(scope="module")
def both(lava: RealLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The addresses of the real lab and of the stand-in, with the same in both; for looking only."""
    lava.empty()
    clock = SandboxClock.create(tmp_path_factory.mktemp("clock") / "clock.json")
    stand_in = LavaStandIn(NAME, USER, TOKEN, clock)
    for user in (USER, OTHER, USER):
        lava.submit(user, "qemu", "baseline")
        stand_in.submit("baseline", "qemu", submitter=user)
    lava.put("3", "Running")
    stand_in.hold(3, "Running")
    for number, state in enumerate(("Running", "Idle")):
        lava.add_device(f"qemu-{number}", "qemu", state, "Good")
        stand_in.add_device(f"qemu-{number}", "qemu")
    with stand_in:
        yield lava.url, stand_in.url


@pytest.mark.parametrize(("path", "headers"), REST)
def test_the_stand_in_answers_rest_like_lava(both: tuple[str, str], path: str, headers: dict[str, str]) -> None:
    real, ours = (requests.get(f"{url}/api/v0.2/{path}", headers=headers, timeout=10) for url in both)
    assert ours.status_code == real.status_code
    assert ours.headers["Content-Type"].split(";")[0] == real.headers["Content-Type"].split(";")[0]
    if "json" in real.headers["Content-Type"]:
        assert_alike(real.json(), ours.json())


@pytest.mark.parametrize(("method", "arguments", "login"), CALLS)
def test_the_stand_in_answers_xmlrpc_like_lava(
    both: tuple[str, str], method: str, arguments: tuple[Any, ...], login: tuple[str, str] | None
) -> None:
    real, ours = (called(url, method, arguments, login) for url in both)
    assert_alike(real, ours)


def called(url: str, method: str, arguments: tuple[Any, ...], login: tuple[str, str] | None) -> object:
    body = xmlrpc.client.dumps(arguments, method, allow_none=True)
    answer = requests.post(f"{url}/RPC2/", data=body, headers={"Content-Type": "text/xml"}, auth=login, timeout=10)
    if answer.status_code != 200:
        return [answer.status_code, answer.text, answer.headers.get("WWW-Authenticate")]
    try:
        return xmlrpc.client.loads(answer.content, use_builtin_types=True)[0][0]
    except xmlrpc.client.Fault as fault:
        return [fault.faultCode, fault.faultString]


def assert_alike(real: object, ours: object) -> None:
    """The same, but for times, and for keys that the stand-in leaves out."""
    if isinstance(real, dict) and isinstance(ours, dict):
        assert ours.keys() <= real.keys()
        for key, value in ours.items():
            assert_alike(real[key], value)
    elif isinstance(real, list) and isinstance(ours, list):
        assert len(ours) == len(real)
        for one, other in zip(real, ours, strict=True):
            assert_alike(one, other)
    elif is_time(real):
        assert is_time(ours)
    else:
        assert ours == real


def is_time(value: object) -> bool:
    if isinstance(value, str) and value[:2] == "20":
        with suppress(ValueError):
            return datetime.fromisoformat(value).tzinfo is not None
    return isinstance(value, datetime) and value.tzinfo is None
