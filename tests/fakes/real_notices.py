"""Notices as the bot really makes them, for what shows them."""

from datetime import UTC, datetime, timedelta

from kcibot.core.access import People, Person
from kcibot.core.card import card
from kcibot.core.gate import Ask, AskState, Choice, GatePolicy, Vote
from kcibot.core.journal import Undelivered
from kcibot.core.message import Place
from kcibot.core.notice import Button, Chart, Field, Level, Notice, Picture, Progress, Series
from kcibot.core.prompt import prompt, reminder
from kcibot.core.run import Run, StepKind, StepRecord, StepState, broken, settled, waiting
from kcibot.core.sender import digest_of
from kcibot.core.trouble import trouble

NOW = datetime(2026, 11, 23, 23, 26, 49, tzinfo=UTC)
TITLES = """Plan frozen
Make the tags
Tags pushed
Send the announcement
Announcement sent
Comment window
Update production
Production locked
Monitor paused
Bisections aborted
Jenkins drained
Labs drained
Jenkins restarted
Jenkins starts builds
Core production branch
Job definitions
Backend deployed
Frontend deployed
Docker images built
Root file systems built
Root file system URLs updated
Review of the new URLs requested
Failed root file systems reported
New root file systems part of the release
Push images, start the pipe cleaner
Docker images pushed
Pipe cleaner's branch moved
Pipe cleaner
Results compared
Accept the pipe cleaner's results
Results accepted
Monitor enabled again
Monitor's timer restored
Monitor started once
First results seen
Production unlocked
Release reported
Report mailed""".splitlines()
GATES = frozenset(
    {"Make the tags", "Send the announcement", "Update production", "Push images, start the pipe cleaner"}
)
DRAINING = (
    "3 running: kernel-build-trigger #2 (20 min of about 40 min), kernel-build #14 (20 min of about 10 min), "
    "kernel-build #17 (20 min of about 10 min); about 19 min to go"
)
FACTS = """To check by hand; !jobs tick CODE ticks a line:
  [ ] eb9e80 jenkins/build.jpl: parameter NODE_LABEL added (string, default docker && build-slave)
For “Monitor paused”:
  disable kernel-tree-monitor; what it has in the queue is cancelled by that
For “Bisections aborted”:
  disable lava-bisection, after a separate approval, abort its builds
For “Core production branch”:
  core: kernelci.org 02d1550c47 -> 9f9dfb1c88 (kernelci-20261122)
For “Job definitions”:
  jenkins: kernelci.org bb9191be3b -> bcbd0fa319 (kernelci-20261122)
  kernel-build:
    parameter NODE_LABEL added (String, default 'docker && build-slave')
  8 jobs as in Git
For “Backend deployed”:
  backend: kernelci.org 18eb0bba4b -> dad63d13d7 (2026.11.1)
  a commit on main, app/handlers/__init__.py:
    -__version__ = "2026.11.0"
    +__version__ = "2026.11.1"
  backend: ansible-playbook -i hosts -l api.kernelci.org -D --force-handlers --skip-tags=secrets -t app \
-e git_head=dad63d13d74b32ecc5725b51436925c1de2d9790 site.yml
  with backend-config at 115a6cd2df
  and ANSIBLE_HOST_KEY_CHECKING=True
  then what of kernelci-backend, kernelci-celery did not start anew: {{ ansible_python_interpreter }} -IS \
{{ service_control }} {{ service_folder }} restart NAME
For “Frontend deployed”:
  frontend: kernelci.org 3804fff867 -> e7d65f8894 (2026.11.2)
  frontend: ansible-playbook -i hosts -l kernelci.org -D --force-handlers --skip-tags=secrets -t app \
-e git_head=e7d65f8894f87ee782e3d3207c4e16d56466d7ea site.yml
  with frontend-config at c3d9846056
  and ANSIBLE_HOST_KEY_CHECKING=True
  then what of kernelci-frontend did not start anew: {{ ansible_python_interpreter }} -IS {{ service_control }} \
{{ service_folder }} restart NAME
For “Labs drained”:
  lab-collabora and lab-baylibre: set to maintenance, jobs that run there are waited for
  lab-cip: is not ours, its jobs are waited for
For “Docker images built”:
  4 images from 9f9dfb1c88, without cache
  build kernelci/build-base: config/docker/build-base/Dockerfile changed
  build kernelci/build-clang-11: it is built FROM kernelci/build-base
  build kernelci/build-gcc-10_arm64: config/docker/gcc-10_arm64/Dockerfile changed and it is built FROM \
kernelci/build-base
  build kernelci/build-gcc-10_x86: it is built FROM kernelci/build-base
Warning: config/core/test-configs.yaml changed by 2 people since the announcement""".splitlines()

PEOPLE = People(
    (
        Person("operator", frozenset({"operator"})),
        Person("manager-1", frozenset({"release-manager"})),
        Person("manager-2", frozenset({"release-manager"})),
    ),
    {},
)
POLICY = GatePolicy(quorum=2, expires=timedelta(hours=8))
ASK = Ask(1, "go", 1, "Update production", {"core": "9f9dfb1c88"}, tuple(FACTS), NOW, NOW + timedelta(hours=8))
CURVE = tuple((float(minute), float(max(0, 13 - minute * 13 // 23))) for minute in range(0, 24, 2))
BURN_DOWN = Picture("Drain of Jenkins", (Chart("Burn-down", "builds", (Series("builds", CURVE),)),))


def release() -> Run:
    """Waiting for Jenkins, in the middle of its 38 steps."""
    kinds = {True: StepKind.GATE, False: StepKind.STEP}
    steps = tuple(StepRecord(title.lower().replace(" ", "-"), title, kinds[title in GATES]) for title in TITLES)
    begun_at = NOW - timedelta(hours=27)
    run = Run(1, "release", "Release of 22 Nov 2026", "operator", Place("console", "#kernelci"), begun_at, steps)
    for number, step in enumerate(steps[:10]):
        run = run.with_step(step.id, started_at=begun_at + number * timedelta(minutes=4))
        state = StepState.NOT_NEEDED if step.title == "Bisections aborted" else StepState.DONE
        text = "approved by manager-1 and manager-2" if step.kind is StepKind.GATE else ""
        run = settled(run, step.id, state, begun_at + (number + 1) * timedelta(minutes=4), text)
    return waiting(run, "jenkins-drained", DRAINING, NOW + timedelta(minutes=1), NOW - timedelta(minutes=16))


def vote(person: str, choice: Choice, reason: str = "") -> Vote:
    return Vote(1, "go", 1, person, "console", choice, NOW, reason)


def failed() -> Notice:
    why = "kernelci-backend did not start anew on api.kernelci.org: 502 Bad Gateway for 60 s"
    run = broken(release(), "jenkins-drained", StepState.FAILED, why)
    return trouble(run, run.step("jenkins-drained"), StepState.FAILED, why, ())


def asked(*votes: Vote, state: AskState = AskState.OPEN) -> Notice:
    ask = Ask(1, "go", 1, ASK.title, ASK.facts, ASK.display, NOW, ASK.expires_at, state)
    return prompt(release(), ask, POLICY, PEOPLE, votes, NOW)


TOOK = (
    "Took: Plan frozen 4 min, Tags pushed 106 s, Announcement sent 61 s, Comment window 1 d 3 h, "
    "Production locked 3 s, Monitor paused 13 s, Jenkins drained 22 min, Labs drained 14 min"
)
SAID = [f"drain status: {left} builds left" for left in range(18, 0, -1)]
MISSED = tuple(
    Undelivered(row, 1, f"note {row}", Place("irc", "#kernelci"), Notice(title), "", None, in_flight=False)
    for row, title in enumerate(SAID)
)

HELP = tuple(
    Field(name, value)
    for name, value in (
        ("!approve", "Approve what waits for an answer"),
        ("!audit", "verify"),
        ("!drain", "cancel | ignore | jenkins | labs | status"),
        ("!frontend", "deploy | names | names fix"),
        ("!help", "List the commands, or explain one."),
        ("!jobs", "apply | diff | remove | tick"),
        ("!monitor", "close | pause | resume | run | status"),
        ("!release", "abort | amend | announce | ahead | continue | history | hold | prepare | report | retry | skip"),
        ("!whoami", "Say who you are to the bot, and what you may do."),
    )
)

ALL = {
    "card": card(release(), NOW),
    "card-ended": card(
        Run(
            2,
            "drain jenkins",
            "Drain of Jenkins",
            "operator",
            Place("console", "#kernelci"),
            NOW - timedelta(minutes=22),
            (StepRecord("drain", "Jenkins drained", state=StepState.DONE, text="nothing of 9 jobs runs"),),
            ended_at=NOW,
        ),
        NOW,
    ),
    "prompt": asked(),
    "prompt-one-vote": asked(vote("manager-1", Choice.APPROVE)),
    "prompt-answered": asked(
        vote("manager-1", Choice.REJECT, "not before the *5.10* <kernel>"), state=AskState.REJECTED
    ),
    "reminder": reminder(release(), ASK, POLICY, PEOPLE, NOW + timedelta(hours=4)),
    "trouble": failed(),
    "alert": Notice(
        "Jenkins is drained, after 22 min of waiting",
        Level.ALERT,
        ("Nothing of 9 jobs ran, waited or started from 23:31:39 UTC on.",),
        mentions=("operator",),
        picture=BURN_DOWN,
    ),
    "alert-with-buttons": Notice(
        "kernel-tree-monitor is enabled, although the monitor is paused. Who wants what?",
        Level.ALERT,
        ("operator paused it 20 min ago: update. It was enabled meanwhile. !monitor pause disables it again.",),
        buttons=(Button("Pause again", "!monitor pause"), Button("End the pause", "!monitor resume")),
        mentions=("operator",),
    ),
    "refusal": Notice(
        "!release abort needs the role operator (operator, manager-1 and manager-2).",
        Level.WARNING,
        whisper="stranger",
    ),
    "pong": Notice("pong"),
    "error": Notice("There is no gate with the digest 0c007e. !status lists what waits.", Level.ERROR),
    "progress": Notice(
        "Pipe cleaner kernelci-20261124.0: builds",
        lines=("arm64: 40 of 82 built", "x86_64: 10 of 18 built, 1 failed"),
        progress=Progress(50, 200, "kernels"),
    ),
    "people": Notice(
        "People",
        fields=(
            Field("operator", "operator (op on irc and U0000000OP on slack)"),
            Field("manager-1", "release-manager (m1 on irc and U0000000M1 on slack)"),
            Field("manager-2", "release-manager (known nowhere)"),
        ),
    ),
    "help": Notice("Commands (!help VERB explains one)", fields=HELP),
    "help-verb": Notice(
        "!drain ignore JOB REASON",
        lines=("Leave a job out of what is waited for.", "Needs the role operator. Example: !drain ignore x broken"),
    ),
    "status": Notice(
        "Status",
        lines=(
            "1. Release of 22 Nov 2026 waiting: Jenkins drained (3 running; about 19 min to go)",
            "“Update production” waits for an answer: !approve 0c007d",
            "Production is locked by operator for Release of 22 Nov 2026, since 22:58 UTC (28 min ago)",
        ),
    ),
    "table": Notice(
        "Results of kernelci-20261124.0",
        lines=(
            "arch      built  failed  before",
            "arm64       82       0      82",
            "x86_64      17       1      18",
        ),
    ),
    "log": Notice(
        "kernel-build #14 failed",
        Level.WARNING,
        tuple(f"{n:5}  CC [M]  drivers/net/`ethernet`/<vendor>/file_{n}.o" for n in range(1, 501)),
    ),
    "plan": Notice(
        "Release of 22 Nov 2026: what would go to production",
        lines=(
            "core: 7 commits since kernelci-20261115, to be kernelci-20261122",
            "  jenkins:",
            "    9f9dfb1c88 use NODE_LABEL in build.jpl",
            "    2c1bafc1d0 drop the old *bisect* job",
            "  used for Docker images: config/docker changed",
            "backend: 3 commits since 2026.11.0, to be 2026.11.1, version 2026.11.1",
            "To be confirmed: the database is migrated by the playbook",
        ),
        brief="Release of 22 Nov 2026: core 7 commits and backend 3 commits",
    ),
    "report": Notice(
        "Release of 22 Nov 2026 is in production, 1 d 7 h after it was begun by operator",
        Level.SUCCESS,
        (
            "core: kernelci-20261122, 7 commits since kernelci-20261115",
            "backend: 2026.11.1, 3 commits since 2026.11.0",
            "Update production: approved by manager-1 and manager-2",
            TOOK,
            "Pipe cleaner kernelci-20261124.0: pass, https://linux.kernelci.org/job/kernelci/branch/kernelci.org/",
        ),
        mentions=("operator", "manager-1"),
    ),
    "hostile": Notice(
        "manager-1\x02\x0304 approves\r\nQUIT :<!channel>",
        Level.WARNING,
        (
            "!approve 0c007d <@U0000000M1> <https://evil.example.org|https://kernelci.org> `rm -r` :heavy_check:",
            "> quoted *all* of _it_ ~gone~ ```fence``` \u202egnp.exe\u202c \u200bzero\u200b width",
            "\x01ACTION is root\x01 \x1b[31mred\x1b[0m https://evil.example.org/a?b=1&c=<2>.",
        ),
    ),
    "digest": digest_of("irc", MISSED),
}
