"""Whole releases on days on which the world does its worst, told by the room and by the sandbox's own state."""

import random
import resource
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kcibot.chat.room import RoomKind
from kcibot.core.ports import Revision
from kcibot.sandbox.bot_process import BotProcess
from kcibot.sandbox.docker_engine.facts import Trouble, TroubleKind
from kcibot.sandbox.http import Fault, FaultKind
from kcibot.sandbox.kernelci.kernels import Kernel
from kcibot.sandbox.mailbox import MailFault
from kcibot.sandbox.proof import Proof
from kcibot.sandbox.targets import BACKEND, BACKEND_HOST, CELERY
from tests.fakes.bad_day import QUICK, Day, bad_day

LIST = "release-list@example.org"
LIVES = 12
GARBAGE = (
    *("!", "!!", "! ", "", "'", '"', "!ping '", '!ping "', "!release 'prepare", "!\x00", "!ping \x00\x1b[31mred\x07"),
    *("!" + "x" * 10_000, "!ping " + "x" * 10_000, "!release skip " + "y " * 3000, "!help " + "z" * 500),
    *("!\u043f\u0438\u043d\u0433", "!ping \U0001f600\u202e\u0301", "\u2028!ping", "!ping\n!release prepare"),
    *(
        "!release retry nothing",
        "!release abort x",
        "!release pause x",
        "!release skip push-core x",
        "!stop",
        "!unhold",
    ),
    *("!approve", "!approve zzzz", "!reject 000000 no", "!withdraw ffffff", "!--help", "!release --help"),
    *("!release status --run 99", "!audit 99999999999999999999", "!release history -5", "!drain ignore"),
    *("!release prepare now please", "!release retry --run nan", "!release continue --run 99999999999999999999999"),
)


def test_a_tag_that_appears_after_the_approval_is_never_moved(tmp_path: Path) -> None:
    with bad_day(tmp_path, "backend", "core") as day:
        day.silent.add("prepare")
        day.asked("prepare")
        theirs = day.git("backend", "rev-parse", "main~2")
        day.git("backend", "update-ref", "refs/tags/2026.11.1", theirs)
        main = day.ref("backend", "refs/heads/main")
        day.react("operator", "prepare")
        alert = day.breaks("Tags pushed")
        assert "the tag 2026.11.1 exists already" in alert
        assert "Nothing of backend was pushed" in alert
        assert "Done by this step itself: tag kernelci-" in alert
        assert "Make the tags" not in alert, "an approval is no tag"
        assert day.ref("backend", "refs/heads/main") == main
        day.silent.clear()
        day.say("operator", "!release amend")
        prompt = day.notice(day.asked("announce"))
        assert "backend  2026.11.2" in prompt
        assert day.ref("backend", "refs/tags/2026.11.1") == theirs
        assert day.git("backend", "rev-parse", "2026.11.2^{}") == day.ref("backend", "refs/heads/main")
        assert len(day.new_tags("core")) == 1, "what is tagged is not tagged again"


def test_commits_that_somebody_pushed_to_production_are_lost_only_by_two_votes(tmp_path: Path) -> None:
    with bad_day(tmp_path, "core") as day:
        day.silent |= {"go", "force"}
        day.asked("go")
        theirs = day.commit("core", "kernelci.org", "hotfix", "x\n", "A hot fix in production")
        day.react("manager-1", "go")
        alert = day.breaks("Core production branch")
        assert theirs[:10] in alert
        assert "nothing was pushed" in alert
        assert "Monitor paused" in alert
        assert day.ref("core") == theirs
        day.silent.remove("go")
        day.again()
        day.say("operator", "!release amend")
        prompt = day.notice(day.asked("force:push-core"))
        assert "A hot fix in production (NOT on the development branch)" in prompt
        assert "Approvals needed: 2" in prompt
        day.react("operator", "force:push-core")
        day.see("Only a release-manager may answer this")
        day.react("manager-1", "force:push-core")
        day.see("1 more of 2")
        assert day.ref("core") == theirs
        day.react("manager-2", "force:push-core")
        day.until(lambda: day.line("Core production branch")[:1] == "✓")
        assert day.ref("core") == day.ref("core", "refs/heads/main")
        day.say("operator", "!release abort seen enough")
        told = day.notice(day.see("aborted by operator"))
        assert "Core production branch" in told
        day.see("The monitor stays paused")
        assert day.disabled()


def test_a_jenkins_that_cannot_be_seen_is_never_drained(tmp_path: Path) -> None:
    with bad_day(tmp_path, "core", jenkins_timeout="1s") as day:
        day.patient("Jenkins drained")
        day.silent.add("go")
        day.asked("go")
        faults = day.sandbox.jenkins.faults
        faults.add(Fault(FaultKind.STATUS, times=2, status=503))
        day.react("manager-1", "go")
        day.sandbox.jobs.start_ambient(minutes=600)
        day.until(lambda: "kernel-build-trigger" in day.line("Jenkins drained"))
        assert day.disabled()
        for kind in (FaultKind.HTML, FaultKind.TRUNCATED, FaultKind.HANG, FaultKind.RESET_BEFORE, FaultKind.STATUS):
            faults.add(Fault(kind, times=1000, status=503))
            day.until(lambda: "cannot be seen" in day.line("Jenkins drained"))
            assert not day.saying("Jenkins is drained")
            faults.clear()
            day.until(lambda: "kernel-build-trigger" in day.line("Jenkins drained"))
        day.sandbox.jenkins.restart(kill=True)
        day.see("Jenkins was restarted during the drain")
        day.until(lambda: day.line("Jenkins drained")[:1] == "✓")
        assert day.disabled()


def test_a_mail_is_sent_once_whatever_its_server_does(tmp_path: Path) -> None:
    with bad_day(tmp_path, "core") as day:
        mailbox = day.sandbox.mailbox
        mailbox.refuse(LIST)
        alert = day.breaks("Announcement sent")
        assert "550 5.1.1 No such user" in alert
        assert not mailbox.messages
        mailbox.behave()
        mailbox.misbehave(MailFault.DEFER)
        mailbox.misbehave(MailFault.LOSE_ANSWER)
        day.say("operator", "!release retry")
        day.until(lambda: day.line("Announcement sent")[:1] == "✓")
        assert len(mailbox.messages) == 1


def test_a_half_run_playbook_is_told_and_a_fix_of_it_is_approved_before_it_runs(tmp_path: Path) -> None:
    with bad_day(tmp_path, "backend", prepare="") as day:
        day.silent.add("go")
        path = day.playbook_tasks()
        good = day.git("backend-config", "show", f"main:{path}")
        bad = f"{good}\n\n- name: Move the database\n  ansible.builtin.command: /bin/false\n  tags: [app]\n"
        day.commit("backend-config", "main", path, bad, "Move the database")
        before = day.sandbox.targets.facts(BACKEND)
        day.say("operator", "!release prepare")
        day.asked("go")
        day.react("manager-1", "go")
        alert = day.breaks("Backend deployed")
        assert "Move the database" in alert
        assert "Production is half-way: backend answers version" in alert
        assert "push backend kernelci.org" in alert
        assert "found done" not in alert
        good += "\n\n- name: Mark it\n  ansible.builtin.file:\n    path: '{{ install_base }}/marked'\n"
        good += "    state: touch\n  tags: [app]\n"
        fixed = day.commit("backend-config", "main", path, good, "Mark it, and do not move the database")
        prompt = day.prompts["go"]
        day.again()
        day.say("operator", "!release amend")
        assert f"backend-config at {fixed[:10]}" in day.notice(day.asked("go", after=prompt))
        day.react("manager-1", "go")
        day.until(lambda: day.line("Backend deployed")[:1] == "✓")
        after = day.sandbox.targets.facts(BACKEND)
        assert list(day.sandbox.folder.glob("targets/**/marked")), "the fixed playbook has run"
        assert after.version == "2026.11.1"
        assert after.starts > before.starts


def test_images_that_cannot_be_built_or_pushed_are_never_called_pushed(tmp_path: Path) -> None:
    with bad_day(tmp_path, "core") as day:
        engine, registry = day.sandbox.engine, day.sandbox.registry
        engine.misbehave(Trouble(TroubleKind.BUILD_ERROR, "device-tree-compiler", times=4))
        before = registry.digest("kernelci/build-base")
        alert = day.breaks("Docker images built")
        assert "device-tree-compiler" in alert
        assert "Done by this step itself: build kernelci/build-base" in alert
        day.silent.add("images")
        day.say("operator", "!release retry")
        day.asked("images")
        engine.misbehave(Trouble(TroubleKind.PUSH_LIE, "build-base"))
        day.react("operator", "images")
        day.until(lambda: "The engine says that it pushed kernelci/build-base" in day.line("Docker images pushed"))
        assert registry.digest("kernelci/build-base") == before
        day.until(lambda: day.line("Docker images pushed")[:1] == "✓")
        assert registry.digest("kernelci/build-base") != before


def test_results_that_cannot_be_seen_are_no_pass_and_a_lost_architecture_is_a_fail(tmp_path: Path) -> None:
    with bad_day(tmp_path, "core") as day:
        post = day.sandbox.backend.post_kernel

        def no_mips(revision: Revision, kernel: Kernel, status: str, warnings: int) -> None:
            post(revision, kernel, "FAIL" if kernel.arch == "mips" else status, warnings)

        day.sandbox.backend.post_kernel = no_mips  # type: ignore[method-assign]  # what the labs' compilers do today
        day.silent.add("accept")
        day.until(lambda: "all 20 kernels built" in day.line("Pipe cleaner"))
        day.sandbox.api.faults.add(Fault(FaultKind.STATUS, "GET /", times=10000, status=503))
        day.until(lambda: "the results API does not answer" in day.line("Pipe cleaner"))
        unseen = day.asked("accept")
        assert "Proposed: unknown" in day.notice(unseen)
        day.sandbox.api.faults.clear()
        day.say("operator", "!pipecleaner compare")
        first = day.asked("accept", after=unseen)
        assert "Proposed: fail: all 6 kernels of architecture mips fail" in day.notice(first)
        number = day.say("operator", "!pipecleaner retry failed")
        day.until(lambda: any("6 failed again" in line for line in day.card().lines), patience=30)
        assert "Proposed: fail" in day.notice(day.asked("accept", after=first))
        day.say("manager-2", f"!reject {day.code('accept')} mips is gone")
        alert = day.breaks("Accept the pipe cleaner's results")
        assert "rejected by manager-2: mips is gone" in alert
        assert "!release abort REASON" in alert
        number = day.say("operator", "!release abort no mips")
        day.see("aborted by operator", number)
        day.see("The monitor stays paused", number)
        assert day.disabled()


def test_holds_pauses_and_stops_are_kept_until_they_are_lifted(tmp_path: Path) -> None:
    with bad_day(tmp_path, "backend") as day:
        day.patient("Comment window")
        day.until(lambda: "comments" in day.line("Comment window"))
        day.say("observer", "!hold the lab is down")
        day.until(lambda: day.state() == "paused")
        day.sandbox.clock.advance(timedelta(hours=30))
        number = day.say("operator", "!release continue")
        assert "!unhold" in day.notice(day.see("observer: the lab is down", number))
        assert day.line("Comment window")[:1] == "…"
        day.say("operator", "!release pause lunch")
        day.say("operator", "!unhold")
        number = day.say("operator", "!ping 1")
        day.see("pong 1", number)
        assert day.state() == "paused"
        day.silent.add("go")
        day.say("operator", "!release continue")
        day.asked("go")
        before = day.sandbox.targets.deployed(BACKEND_HOST)
        starts = day.sandbox.targets.facts(BACKEND).starts
        day.react("manager-1", "go")
        day.until(lambda: day.sandbox.targets.deployed(BACKEND_HOST) != before)
        number = day.say("operator", "!stop")
        assert "deploy backend 2026.11.1" in day.notice(day.see("Stopped by operator", number))
        assert "Production is half-way: backend answers version 2026.11.0" in day.breaks("Backend deployed")
        assert day.sandbox.targets.facts(BACKEND).starts == starts
        day.say("operator", "!release continue")
        day.say("operator", "!release retry")
        day.until(lambda: day.line("Backend deployed")[:1] == "✓")
        assert "kernelci-backend and kernelci-celery restarted by me" in day.line("Backend deployed")
        for service in (BACKEND, CELERY):  # the second playbook found nothing to restart for
            assert day.sandbox.targets.facts(service).version == "2026.11.1"


@pytest.mark.slow
def test_a_bot_that_is_killed_again_and_again_does_everything_once(tmp_path: Path) -> None:
    chance = random.Random(LIVES)  # noqa: S311 (the same moments every time)
    with bad_day(tmp_path, prepare="", settings=replace(QUICK, kernels=200)) as day:
        proof = Proof(day.sandbox)
        day.say("operator", "!release prepare")
        for life in range(LIVES):
            wait_until(day, time.monotonic() + chance.uniform(0.3, 2.6))
            (day.bot.kill if life % 5 else day.bot.stop)()
            day.bot.start()
        day.ends()
        day.say("operator", "!ping the last life")
        day.see("pong the last life")
        assert not proof.missing()
        posted = [event.key for event in day.room.read() if event.kind is RoomKind.POST and event.key]
        assert len(posted) == len(set(posted)), "each message came once"


def wait_until(day: Day, moment: float) -> None:
    day.until(lambda: time.monotonic() > moment)


def test_two_who_begin_at_once_get_one_release_and_one_bot(tmp_path: Path) -> None:
    with bad_day(tmp_path, "core", prepare="") as day:
        day.silent.add("prepare")
        day.say("operator", "!release prepare")
        day.say("manager-1", "!release prepare")
        assert "!release status shows it" in day.notice(day.see("is under way"))
        second = BotProcess(day.sandbox.folder)
        second.start()
        day.until(lambda: not second.alive)
        assert second.stop() != 0
        assert f"process {day.bot.pid}" in day.log()
        day.asked("prepare")
        assert sum(event.key.endswith(":card") for event in day.room.read() if event.kind is RoomKind.POST) == 1


def test_garbage_in_the_room_is_answered_or_left_alone(tmp_path: Path) -> None:
    with bad_day(tmp_path, "core", prepare="") as day:
        for text in GARBAGE:
            day.say("operator", text)
        for number in range(200):
            day.say("operator", f"!ping {number}")
        day.see("I ignore the others of operator")
        number = day.say("observer", "!ping and nobody else was kept waiting")
        day.see("nobody else was kept waiting", number)
        answers = [event.notice.title for event in day.room.read() if event.notice]
        assert not [title for title in answers if "did not expect" in title]
        day.say("manager-1", "!release prepare")
        day.asked("prepare")


def test_a_full_disk_records_nothing_by_halves_and_the_bot_goes_on_after(tmp_path: Path) -> None:
    with bad_day(tmp_path, "core", prepare="") as day:
        number = day.say("operator", "!ping")
        day.see("pong", number)
        limits = resource.prlimit(day.bot.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(day.bot.pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
        day.say("operator", "!release prepare")
        day.until(lambda: "The journal could not be written" in day.log())
        assert not day.card().lines
        resource.prlimit(day.bot.pid, resource.RLIMIT_FSIZE, limits)
        if not day.bot.alive:
            day.bot.start()
        day.asked("prepare")
        assert sum(event.key.endswith(":card") for event in day.room.read() if event.kind is RoomKind.POST) == 1


def test_an_amended_release_does_again_what_changed_and_can_be_rolled_back(tmp_path: Path) -> None:
    with bad_day(tmp_path, "core", "backend") as day:
        registry = day.sandbox.registry
        digests = {name: registry.digest(name) for name in registry.names()}
        refs = {name: day.ref(name) for name in ("core", "backend")}
        version = day.sandbox.targets.facts(BACKEND).version
        day.silent.add("accept")
        day.asked("accept")
        day.say("manager-2", f"!reject {day.code('accept')} a fix is missing")
        assert "a fix is missing" in day.breaks("Accept the pipe cleaner's results")
        fix = day.commit("core", "main", "README.md", "a fix\n", "Fix what the pipe cleaner found")
        day.again()
        day.silent.clear()
        starts = day.sandbox.targets.facts(BACKEND).starts
        day.say("operator", "!release amend")
        day.until(lambda: day.state() != "failed")
        day.ends()
        assert day.ref("core") == fix == day.git("core", "rev-parse", f"{day.new_tags('core')[1]}^{{}}")
        assert day.sandbox.targets.facts(BACKEND).starts == starts, "the backend had not changed again"
        assert day.builds("kernel-build-trigger") >= 3, "the pipe cleaner has run again"
        assert not day.disabled()
        assert len(day.sandbox.mailbox.messages) == 2
        day.again()
        day.say("operator", "!release rollback")
        day.until(lambda: day.card().title.startswith("Rollback"))
        day.ends()
        assert not day.disabled(), "the monitor that it paused is enabled again"
        day.see("!pipecleaner kernelci shows whether production works")
        assert {name: day.ref(name) for name in refs} == refs
        assert day.sandbox.targets.facts(BACKEND).version == version
        assert {name: registry.digest(name) for name in registry.names()} == digests
