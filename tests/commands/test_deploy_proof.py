"""After a playbook: every service started anew, the files that the frontend serves, and a worker that takes tasks."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kcibot.config import load
from kcibot.core.ports import Deployment
from kcibot.core.procedure import Context, Done, Procedure, Step
from kcibot.core.run import RunState, StepState
from kcibot.errors import ConfigError
from kcibot.sandbox.targets import BACKEND, BACKEND_HOST, CELERY, FRONTEND, FRONTEND_HOST
from kcibot.services.ansible.command import command_line
from kcibot_commands.deploy.services import restart_the_rest, see_worker
from kcibot_commands.deploy.settings import Playbook, configuration_of, deployment
from kcibot_commands.deploy.static import see_static_files
from kcibot_commands.deploy.steps import DeployArgs, Deployed, DeploySettings
from kcibot_commands.rules.js_names import COMMON_JS
from tests.fakes.bench import Bench
from tests.fakes.deploy_bench import ALONE, DEAF, HANDLERS, deafened, machines, settings, state
from tests.fakes.kernelci_bench import PRODUCTION, Followed, Kernelci, kernelci, start, with_ports

VIEW = "js/app/view-builds-id.2020.10.js"
COMMON = "js/common.js"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Kernelci]:
    with kernelci(tmp_path, machines=True) as there:
        yield there


def looked(bench: Bench, look: Callable[[Context], object]) -> tuple[StepState, str]:
    """How a step ends that only looks."""
    step = Step("look", "Looked", lambda context: Done(str(look(context) or "nothing to say"), None), type(None))
    run = start(bench, Procedure("look", step))
    return run.step("look").state, run.step("look").text


# ---- services --------------------------------------------------------------------------------------------------


def test_a_service_whose_handler_did_nothing_is_restarted_by_the_bot(place: Kernelci) -> None:
    good = place.git("backend-config", "show", f"main:{HANDLERS}").partition("- name: Restart kernelci-celery")[0]
    place.commit("backend-config", {HANDLERS: good + DEAF["celery"]}, "forget the worker")
    place.commit("backend", {"app/handlers/__init__.py": '__version__ = "2026.11.1"\n'}, "Bump app version")
    run = start(place.bench(), ALONE, DeployArgs("backend", "main"))
    assert state(run, "run-playbook")[0] is StepState.DONE, state(run, "run-playbook")[1]
    assert state(run, "run-playbook")[1].endswith("; kernelci-celery restarted by me")
    for name in (BACKEND, CELERY):
        assert (machines(place).facts(name).starts, machines(place).facts(name).version) == (2, "2026.11.1")


def test_code_that_was_checked_out_by_hand_and_not_restarted_is_noticed(place: Kernelci) -> None:
    """Its version is that of the code before."""
    deafened(place)
    place.commit("backend", {"app/models/report.py": "FIXED = True\n"}, "Fix the report")
    code = machines(place).code(BACKEND_HOST)
    source = str(place.repositories["backend"])
    kept = ("-C", str(code))
    place.git("backend", *kept, "fetch", "--quiet", source, "main")
    place.git("backend", *kept, "checkout", "--quiet", "--force", place.head("backend"))
    assert machines(place).facts(BACKEND).commit == place.head("backend", PRODUCTION)
    run = start(place.bench(), ALONE, DeployArgs("backend", "main"))
    assert run.state is RunState.SUCCEEDED, state(run, "run-playbook")[1]
    assert "kernelci-backend and kernelci-celery restarted by me" in state(run, "run-playbook")[1]
    assert machines(place).facts(BACKEND).commit == place.head("backend")


def rest_restarted(place: Kernelci, **changed: object) -> tuple[StepState, str]:
    """Without any playbook before: every service has been running for too long."""
    bench = place.bench(sections=[settings(place, "backend", **changed)])
    return looked(bench, lambda context: restart_the_rest(context, "backend", *checked_out(context)))


def checked_out(context: Context) -> tuple[Playbook, Deployment]:
    playbook, run = deployment(context, "backend", "main")
    context.ports.git.remote(playbook.repository).checkout(configuration_of(context, playbook), run.folder)
    return playbook, run


def test_a_service_that_runs_the_old_code_after_its_restart_is_no_success(place: Kernelci) -> None:
    state, text = rest_restarted(place, restart=("true",))
    assert state is StepState.UNKNOWN
    assert "I restarted kernelci-backend and kernelci-celery, but on api.kernelci.org what ran before still" in text


@pytest.mark.parametrize("said", ["for ever", "nan", "-1", "-inf"])
def test_what_is_no_length_of_time_is_not_taken_for_a_service_that_just_started(place: Kernelci, said: str) -> None:
    state, text = rest_restarted(place, running_for=("echo", *said.split()))
    assert state is StepState.FAILED
    assert "running_for is to print for how many seconds" in text
    assert f"on api.kernelci.org it printed {said}" in text


# ---- static files ----------------------------------------------------------------------------------------------


def test_a_view_that_is_not_served_after_the_playbook_is_no_success(place: Kernelci) -> None:
    lost = machines(place).static(FRONTEND_HOST) / VIEW
    deployer = Followed(place.ports.deployer, "deploy", lost.unlink)
    bench = place.bench(ports=with_ports(place.ports, deployer=deployer))
    run = start(bench, ALONE, DeployArgs("frontend"))
    assert state(run, "run-playbook")[0] is StepState.UNKNOWN
    said = f"{machines(place).url(FRONTEND)}/static/ does not serve app/view-builds-id.2020.10: pages stay empty"
    assert said in state(run, "run-playbook")[1]


@pytest.mark.parametrize(
    ("served", "said"),
    [
        ("'app/view-jobs-all': 'app/view-jobs-all.2020.1'", "the common.js that is served does not map app/view-"),
        (None, "serves no common.js: pages stay empty"),
    ],
)
def test_a_stale_or_missing_common_js_is_noticed(place: Kernelci, served: str | None, said: str) -> None:
    """The playbook's copy leaves alone what is newer on the machine."""
    common = machines(place).static(FRONTEND_HOST) / COMMON
    if served is None:
        common.unlink()
    else:
        common.write_text(served)
    playbook, commit = place.config.section(DeploySettings).playbooks["frontend"], place.head("frontend", PRODUCTION)
    bench = place.bench()
    place.ports.git.remote("frontend").fetch()
    state, text = looked(bench, lambda context: see_static_files(context, "frontend", playbook, commit))
    assert state is StepState.UNKNOWN
    assert said in text


def test_scripts_in_which_no_view_is_found_are_said_to_be_unchecked(place: Kernelci) -> None:
    """Nothing to look for is no proof that all is there."""
    playbook = place.config.section(DeploySettings).playbooks["frontend"]
    commit = place.commit("frontend", {COMMON_JS: "require.config(later());\n"}, "Map the views elsewhere")
    bench = place.bench()
    place.ports.git.remote("frontend").fetch()
    state, text = looked(bench, lambda context: see_static_files(context, "frontend", playbook, commit))
    assert state is StepState.DONE
    assert text.endswith(f"serves its views was not checked: no {COMMON_JS} maps any")


# ---- the worker ------------------------------------------------------------------------------------------------


def ask_worker(place: Kernelci, **changed: object) -> tuple[StepState, str]:
    chosen = replace(settings(place, "backend", **changed), queue_of="")
    bench = place.bench(sections=[chosen])

    return looked(bench, lambda context: see_worker(context, "backend", *checked_out(context)))


def test_an_unchecked_worker_is_said(place: Kernelci) -> None:
    said = "whether kernelci-celery takes tasks was not checked"
    assert ask_worker(place) == (StepState.DONE, said)
    assert str(Deployed("backend", "2026.11.1", "a" * 40, (), said)).endswith(f"; {said}")
    assert ask_worker(place, worker="") == (StepState.DONE, "nothing to say")


def test_a_worker_is_asked_over_ansible_where_the_api_has_no_probe(place: Kernelci) -> None:
    assert ask_worker(place, worker_probe=("test", "{{ role }}", "=", "production")) == (
        StepState.DONE,
        "nothing to say",
    )
    state, text = ask_worker(place, worker_probe=("sh", "-c", "echo Error: no nodes replied >&2; exit 69"))
    assert state is StepState.UNKNOWN
    assert "kernelci-celery does not take tasks (api.kernelci.org: " in text
    assert "no nodes replied" in text


# ---- options ---------------------------------------------------------------------------------------------------


def test_variables_and_the_user_are_on_the_command_line(place: Kernelci) -> None:
    bench = place.bench(sections=[settings(place, "backend", extra_vars={"role": "production"}, remote_user="deploy")])
    shown: list[str] = []
    looked(bench, lambda context: shown.extend(command_line(deployment(context, "backend", "abc")[1])))
    assert shown[shown.index("-u") + 1] == "deploy"
    assert [shown[place + 1] for place, word in enumerate(shown) if word == "-e"] == ["git_head=abc", "role=production"]


def test_the_commit_is_no_variable_among_others() -> None:
    with pytest.raises(ConfigError, match="git_head is a key of its own"):
        Playbook("backend-config", "api.kernelci.org", extra_vars={"git_head": "main"})


def test_the_option_that_ansible_has_dropped_is_answered_with_its_new_name(place: Kernelci) -> None:
    assert place.config, "it is written"
    path = place.folder / "config.yaml"
    path.write_text(path.read_text().replace("become: false", "ask_sudo_pass: true", 1))
    with pytest.raises(ConfigError, match=r"ask_sudo_pass: is unknown here\. Did you mean ask_become_pass\?"):
        load(path, {"deploy": DeploySettings})
