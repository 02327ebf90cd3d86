"""What the adapter promises of every lab: the same tests for the sandbox's lab and for a real LAVA."""

from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

import pytest

from kcibot.core.ports.labs import Device, DeviceStatus, Lab, LabJobState, LabLook
from kcibot.errors import PermanentError, TransientError
from kcibot.services.lava import rest as lava_rest
from kcibot.services.lava import xmlrpc as lava_xmlrpc
from kcibot.services.lava.adapter import LavaLab

NAME = "lab-x"
USER = "kernel-ci"
OTHER = "somebody-else"
TOKEN = "s3cret0token0of0kernel0ci"
WRONG = "a0wrong0s3cret"

Api = Literal["rest", "xmlrpc"]
APIS: tuple[Api, ...] = ("rest", "xmlrpc")


class LabWorld(Protocol):
    """A lab that can be told what is in it. It begins empty, with the device types qemu and panda."""

    @property
    def url(self) -> str: ...

    def submit(self, user: str, device_type: str, description: str) -> str:
        """A job's number."""
        ...

    def submit_many(self, user: str, device_type: str, count: int) -> None: ...

    def put(self, ident: str, state: str) -> None:
        """Into one of LAVA's states."""
        ...

    def add_device(self, name: str, device_type: str, state: str, health: str) -> None:
        """With REST's words for state and health."""
        ...


def lab_at(url: str, api: Api, token: str = TOKEN, user: str = USER, timeout: float = 10.0) -> LavaLab:
    return LavaLab(NAME, url, user, lambda: token, api, timeout)


class LavaContract:
    """To be inherited where there is a fixture `world`."""

    @pytest.fixture(params=APIS)
    def api(self, request: pytest.FixtureRequest) -> Api:
        chosen: Api = request.param
        return chosen

    @pytest.fixture
    def lab(self, world: LabWorld, api: Api) -> Lab:
        return lab_at(world.url, api)

    def test_a_lab_without_our_jobs_says_so(self, world: LabWorld, lab: Lab) -> None:
        world.submit(OTHER, "qemu", "of somebody else")
        assert lab.open_jobs() == ()
        assert lab.look() == LabLook(NAME, 0, 0, 0, 0)

    @pytest.mark.parametrize("state", LabJobState)
    def test_every_state_but_finished_is_open(self, world: LabWorld, lab: Lab, state: LabJobState) -> None:
        ident = world.submit(USER, "qemu", "baseline")
        world.put(ident, state)
        (job,) = lab.open_jobs()
        assert (job.ident, job.state) == (ident, state)
        look = lab.look()
        begun = state in {LabJobState.RUNNING, LabJobState.CANCELING}
        assert (look.submitted, look.running, look.open) == (0, 1, 1) if begun else (1, 0, 1)

    def test_a_finished_job_is_not_open(self, world: LabWorld, lab: Lab) -> None:
        world.put(world.submit(USER, "qemu", "baseline"), "Finished")
        assert lab.open_jobs() == ()
        assert lab.look().open == 0

    def test_a_job_tells_what_it_is(self, world: LabWorld, lab: Lab) -> None:
        description = "kernelci v5.1 <arm64> \u00fcber"
        world.submit(USER, "qemu", description)
        (job,) = lab.open_jobs()
        assert (job.device_type, job.description) == ("qemu", description)
        assert job.since is not None
        assert abs(job.since - datetime.now(UTC)) < timedelta(minutes=1)

    def test_open_jobs_are_ours_and_oldest_first(self, world: LabWorld, lab: Lab) -> None:
        first = world.submit(USER, "qemu", "first")
        world.submit(OTHER, "qemu", "of somebody else")
        second = world.submit(USER, "panda", "second")
        third = world.submit(USER, "qemu", "third")
        world.put(first, "Submitted")
        world.put(second, "Running")
        world.put(third, "Scheduled")
        assert [(job.ident, job.state) for job in lab.open_jobs()] == [
            (first, "Submitted"),
            (second, "Running"),
            (third, "Scheduled"),
        ]
        assert (lab.look().submitted, lab.look().running) == (2, 1)

    def test_many_jobs_are_read_to_the_end_each_one_once(
        self, world: LabWorld, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lava_rest, "PAGE", 20)
        monkeypatch.setattr(lava_xmlrpc, "PAGE", 20)
        monkeypatch.setattr(lava_xmlrpc, "OVERLAP", 5)
        world.submit_many(USER, "qemu", 60)
        world.submit_many(OTHER, "qemu", 60)
        world.submit_many(USER, "panda", 47)
        jobs = lab.open_jobs()
        assert len(jobs) == 107
        assert len({job.ident for job in jobs}) == 107
        assert [int(job.ident) for job in jobs] == sorted(int(job.ident) for job in jobs)
        assert lab.look().submitted == 107

    def test_a_list_that_ends_with_a_whole_page_is_read_to_the_end(
        self, world: LabWorld, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lava_rest, "PAGE", 20)
        monkeypatch.setattr(lava_xmlrpc, "PAGE", 20)
        world.submit_many(USER, "qemu", 20)
        assert len(lab.open_jobs()) == 20

    def test_more_jobs_than_anybody_reads_are_not_listed_in_part(
        self, world: LabWorld, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in (lava_rest, lava_xmlrpc):
            monkeypatch.setattr(module, "PAGE", 10)
            monkeypatch.setattr(module, "OVERLAP", 2, raising=False)
            monkeypatch.setattr(module, "MOST_JOBS", 30)
        world.submit_many(USER, "qemu", 60)
        with pytest.raises(TransientError, match=NAME):
            lab.open_jobs()

    def test_boards_are_online_when_busy_or_fit_to_take_a_job(self, world: LabWorld, lab: Lab) -> None:
        boards = {
            ("Idle", "Good"): DeviceStatus.IDLE,
            ("Idle", "Unknown"): DeviceStatus.IDLE,
            ("Idle", "Bad"): DeviceStatus.OFFLINE,
            ("Idle", "Looping"): DeviceStatus.OFFLINE,
            ("Idle", "Maintenance"): DeviceStatus.OFFLINE,
            ("Reserved", "Good"): DeviceStatus.RESERVED,
            ("Running", "Bad"): DeviceStatus.RUNNING,
        }
        for number, (state, health) in enumerate(boards):
            world.add_device(f"board-{number}", "qemu", state, health)
        world.add_device("retired", "qemu", "Idle", "Retired")
        expected = [Device(f"board-{number}", "qemu", status) for number, status in enumerate(boards.values())]
        assert list(lab.devices()) == expected
        assert (lab.look().devices_online, lab.look().devices_total) == (4, 7)

    def test_the_address_may_be_that_of_the_lists_of_labs(self, world: LabWorld, api: Api) -> None:
        assert lab_at(f"{world.url}/RPC2/", api).open_jobs() == ()

    @pytest.mark.parametrize("user", [USER, "nobody-known"])
    def test_a_refused_token_is_permanent_and_not_told(self, world: LabWorld, api: Api, user: str) -> None:
        lab = lab_at(world.url, api, token=WRONG, user=user)
        for ask in (lab.look, lab.open_jobs, lab.devices):
            with pytest.raises(PermanentError, match="does not take the token") as caught:
                ask()
            assert WRONG not in repr(caught.value)

    def test_a_token_of_another_user_is_permanent(self, world: LabWorld, api: Api) -> None:
        with pytest.raises(PermanentError) as caught:
            lab_at(world.url, api, user="nobody-known").open_jobs()
        assert TOKEN not in repr(caught.value)
