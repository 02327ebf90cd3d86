"""The adapter of LAVA labs, against a LAVA server of our own on a PostgreSQL of our own."""

import xmlrpc.client
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
import requests

from kcibot.errors import TransientError
from kcibot.sandbox.clock import SandboxClock
from kcibot.sandbox.labs import LavaStandIn
from tests.contract.lava_contract import APIS, NAME, OTHER, TOKEN, USER, WRONG, Api, LavaContract, lab_at
from tests.servers.lava import RealLab, lab_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def lava() -> Iterator[RealLab]:
    with lab_server() as lab:
        yield lab


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
