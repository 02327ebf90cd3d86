"""Just enough of `build-configs.yaml` to run a pipe cleaner: one build config's tree, branch, variants, architectures.

The caller parses the file; here its data is only read (KernelCI's procedure, step 9).
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from kcibot_commands.rules.problem import Problem, RuleError

_CONFIGS = "build_configs"
_DEFAULTS = "build_configs_defaults"
_REDUCED = "stable_variants"
_FRAGMENT = "fragment "


@dataclass(frozen=True, slots=True)
class Variant:
    """One compiler and what is built with it."""

    name: str
    environment: str
    architectures: tuple[str, ...]
    fragments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """One (tree, branch). `reduced` is true if it builds the smaller set kept for stable branches.

    `left_out` then names what a config without variants of its own would build beyond it: `allmodconfig (arm64)`.
    """

    name: str
    tree: str
    url: str
    branch: str
    variants: tuple[Variant, ...]
    reduced: bool
    left_out: tuple[str, ...] = ()

    @property
    def architectures(self) -> tuple[str, ...]:
        """All architectures of all variants, sorted."""
        return tuple(sorted({arch for variant in self.variants for arch in variant.architectures}))


def names(document: Mapping[str, object]) -> tuple[str, ...]:
    """The build configs in the file's order. RuleError if it has none."""
    return tuple(_mapping(document, _CONFIGS, "the file"))


def resolve(document: Mapping[str, object], name: str) -> BuildConfig | Problem:
    """The build config of that name, or a sentence saying what is wrong, with the nearest names there are."""
    try:
        configs = _mapping(document, _CONFIGS, "the file")
        if name not in configs:
            return Problem("unknown", _unknown(name, tuple(configs)))
        return _config(document, name, _mapping(configs, name, _CONFIGS))
    except RuleError as error:
        return Problem("malformed", f"build-configs.yaml: {error}")


def full_sets(document: Mapping[str, object], config: BuildConfig) -> tuple[BuildConfig, ...]:
    """The build configs of the same tree that build every configuration; first those of the same branch.

    Configs that are malformed are passed over: they are nobody's offer.
    """
    found = (resolve(document, name) for name in names(document) if name != config.name)
    full = [one for one in found if isinstance(one, BuildConfig) and one.tree == config.tree and not one.reduced]
    every = [one for one in full if not _left_out(document, one.name)]
    return tuple(sorted(every, key=lambda one: one.branch != config.branch))


def _unknown(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    meant = f"; did you mean {' or '.join(near)}?" if near else f"; there are {len(known)} others"
    return f"there is no build config {name}{meant}"


def _config(document: Mapping[str, object], name: str, config: Mapping[str, object]) -> BuildConfig:
    tree = _text(config, "tree", name)
    trees = _mapping(document, "trees", "the file")
    if tree not in trees:
        raise RuleError(f"{name} uses the tree {tree}, which is not listed under trees")
    url = _text(_mapping(trees, tree, "trees"), "url", f"the tree {tree}")
    variants = config.get("variants") or _default_variants(document, name)
    if not isinstance(variants, Mapping):
        raise RuleError(f"variants of {name} must be a mapping")
    found = tuple(_variant(str(key), _mapping(variants, key, f"variants of {name}")) for key in variants)
    reduced = variants == document.get(_REDUCED)
    left_out = _left_out(document, name) if reduced else ()
    return BuildConfig(name, tree, url, _text(config, "branch", name), found, reduced, left_out)


def _left_out(document: Mapping[str, object], name: str) -> tuple[str, ...]:
    """What the file's default variants build and this config does not, in their order; nothing if there are none."""
    if _DEFAULTS not in document:
        return ()
    config = _mapping(_mapping(document, _CONFIGS, "the file"), name, _CONFIGS)
    own = config.get("variants") or _default_variants(document, name)
    full, there = _extras(_default_variants(document, name)), _extras(own if isinstance(own, Mapping) else {})
    said = []
    for (environment, what), architectures in full.items():
        missing = architectures - there.get((environment, what), frozenset())
        if what:  # an architecture that is not built at all is named once
            missing &= there.get((environment, ""), frozenset())
        if missing:
            everywhere = bool(what) and missing == full[environment, ""]
            said.append(what if everywhere else f"{what or environment} ({', '.join(sorted(missing))})")
    return tuple(said)


def _extras(variants: Mapping[str, object]) -> Mapping[tuple[str, str], frozenset[str]]:
    """(compiler, what) -> architectures. What is empty for the in-tree defconfigs, which are always built."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for key in variants:
        variant = _mapping(variants, key, "variants")
        environment = _text(variant, "build_environment", f"the variant {key}")
        architectures = _mapping(variant, "architectures", f"the variant {key}")
        for arch, details in architectures.items():
            given = details if isinstance(details, Mapping) else {}
            fragments = [*_listed(variant.get("fragments")), *_listed(given.get("fragments"))]
            for what in ("", *_listed(given.get("extra_configs")), *(f"{_FRAGMENT}{one}" for one in fragments)):
                found[environment, what] = found.get((environment, what), frozenset()) | {str(arch)}
    return found


def _listed(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) else ()


def _default_variants(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Those of a config that lists none; from 2020 on they stand one level deeper."""
    defaults = _mapping(document, _DEFAULTS, f"{name} lists no variants, and the file")
    return _mapping(defaults, "variants", _DEFAULTS) if "variants" in defaults else defaults


def _variant(name: str, variant: Mapping[str, object]) -> Variant:
    architectures = _mapping(variant, "architectures", f"the variant {name}")
    fragments = variant.get("fragments") or ()
    if not isinstance(fragments, (list, tuple)):
        raise RuleError(f"fragments of the variant {name} must be a list")
    environment = _text(variant, "build_environment", f"the variant {name}")
    return Variant(name, environment, tuple(str(arch) for arch in architectures), tuple(str(one) for one in fragments))


def _mapping(parent: Mapping[str, object], key: str, where: str) -> Mapping[str, object]:
    value = parent.get(key)
    if not isinstance(value, Mapping):
        raise RuleError(f"{where} has no {key}" if value is None else f"{key} of {where} must be a mapping")
    return value


def _text(parent: Mapping[str, object], key: str, where: str) -> str:
    value = parent.get(key)
    if value is None or isinstance(value, (Mapping, list, tuple)):
        raise RuleError(f"{where} has no {key}")
    return str(value)
