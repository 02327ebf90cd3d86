"""The end of the frontend's deployment: its scripts are served under their new names.

The playbook copies them beside the old ones and skips what is newer there; a page whose view is not served stays empty.
"""

from kcibot.sdk import Context, NotFound, OutcomeUnknown, listed
from kcibot_commands.deploy.settings import Playbook
from kcibot_commands.rules.js_names import COMMON_JS, JS_FOLDER, Names

STATIC_FOLDER = "app/dashboard/static/"
NAMED = 3


def see_static_files(context: Context, component: str, playbook: Playbook, commit: str) -> str:
    """Every view that the commit's common.js maps is served, and so is that very map.

    What is to be said if there was nothing to look for; nothing otherwise. Raises OutcomeUnknown for what is not
    served. An entry without a file, of which there are old ones, is no loss.
    """
    if not playbook.static:
        return ""
    git = context.ports.git.remote(component)
    there = set(git.paths(commit, JS_FOLDER))
    modules = dict.fromkeys(Names.read(git.read(commit, COMMON_JS), "").common) if COMMON_JS in there else {}
    mapped = [module for module in modules if _path(module) in there]
    if not mapped:
        return f"whether {playbook.static} serves its views was not checked: no {COMMON_JS} maps any"
    context.report(f"looking for {len(mapped)} views at {playbook.static}")
    missing = [module for module in mapped if not context.ports.files.exists(_address(playbook, _path(module)))]
    if missing:
        raise OutcomeUnknown(f"{component} runs, but {playbook.static} does not serve {_some(missing)}: {_WHAT_NOW}")
    try:
        served = context.ports.files.read(_address(playbook, COMMON_JS))
    except NotFound as error:
        raise OutcomeUnknown(f"{component} runs, but {playbook.static} serves no common.js: {_WHAT_NOW}") from error
    old = [module for module in mapped if f"{module}'" not in served and f'{module}"' not in served]
    if old:
        raise OutcomeUnknown(f"{component} runs, but the common.js that is served does not map {_some(old)}: {_STALE}")
    return ""


_WHAT_NOW = "pages stay empty. Look at the web root, then retry"
_STALE = "browsers go on loading the old views. One that is newer there is not replaced: copy it by hand, then retry"


def _path(module: str) -> str:
    return f"{JS_FOLDER}{module}.js"


def _address(playbook: Playbook, path: str) -> str:
    return f"{playbook.static.rstrip('/')}/{path.removeprefix(STATIC_FOLDER)}"


def _some(modules: list[str]) -> str:
    more = f" and {len(modules) - NAMED} more" if len(modules) > NAMED else ""
    return f"{', '.join(modules[:NAMED])}{more}" if more else listed(modules)
