"""A LAVA server on a PostgreSQL server, without devices: what is in it is put there by the test."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.contract.lava_contract import OTHER, TOKEN, USER
from tests.servers.floor import folder_for, free_port, needed, running, until

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


@contextmanager
def lab_server() -> Iterator[RealLab]:
    needed(["lava-server", "/usr/bin/gunicorn", "pg_ctlcluster"], "postgresql lava-server lava-common gunicorn")
    programs = max(Path("/usr/lib/postgresql").glob("*/bin/initdb")).parent
    with folder_for("lava") as folder:
        if as_nobody():
            shutil.chown(folder, "nobody", "nogroup")
        with _lava_in(folder, programs) as lab:
            yield lab


@contextmanager
def _lava_in(folder: Path, programs: Path) -> Iterator[RealLab]:
    with postgres(programs, folder) as port:
        environment = {
            "DATABASE_URL": f"postgres://lava@127.0.0.1:{port}/lava",
            "SECRET_KEY": "of this test alone, and of nothing else at all",
            "ALLOWED_HOSTS": "127.0.0.1",
        }
        run(["lava-server", "manage", "migrate", "--noinput"], environment)
        run(["lava-server", "manage", "shell", "-c", CONTENTS], environment)
        with _web_server(environment, folder / "web.log") as url:
            psql = (str(programs / "psql"), "-h", "127.0.0.1", "-p", str(port), "-U", "lava", "lava")
            yield RealLab(url, psql)


@contextmanager
def _web_server(environment: Mapping[str, str], log: Path) -> Iterator[str]:
    packages = run(["/usr/bin/python3", "-c", "import lava_server; print(lava_server.__path__[0])"]).strip()
    url = f"http://127.0.0.1:{free_port()}"
    command = ["/usr/bin/gunicorn", "-b", url.removeprefix("http://"), "-w", "1", "--threads", "4"]
    with running([*command, "--chdir", str(Path(packages).parent), "lava_server.wsgi"], log, environment):
        until(lambda: _answers(url), log, STARTS_WITHIN)
        yield url


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/api/v0.2/system/version/", timeout=5).ok
    except requests.RequestException:
        return False


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


def as_nobody() -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []


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
