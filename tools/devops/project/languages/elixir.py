"""Elixir: Phoenix releases, other OTP applications."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.devops.project.languages.language import Found, Language, Sign, number, present, version_file
from tools.devops.project.tree import Folder
from tools.devops.types import DeployUnit

_UMBRELLA = re.compile(r"\bapps_path:\s*\"([\w./-]{1,80})\"")


def detect(folder: Folder) -> Found | None:
    mix = folder.read("mix.exs")
    if not folder.first("mix.exs"):
        return None
    if any(_UMBRELLA.search(place.read("mix.exs")) for place in folder.above() if place.path != folder.path):
        return None  # built and released with the umbrella it belongs to
    mix += "".join(_members(folder, mix))
    packages = set(re.findall(r"\{:(\w+),", mix))
    app = re.search(r"\breleases:\s*\[\s*(\w+):" if _UMBRELLA.search(mix) else r"\bapp:\s*:(\w+)", mix)
    name = app[1] if app else folder.name
    is_phoenix = "phoenix" in packages
    serves = is_phoenix or bool(packages & {"plug_cowboy", "bandit", "cowboy"})
    runs = serves or re.search(r"\bmod:\s*\{", mix) is not None
    pinned = version_file(folder, (".elixir-version",), ("elixir",))
    declared = re.search(r"\belixir:\s*\"([^\"\n]{1,40})\"", mix)
    version = number(pinned[0]) if pinned else number(declared[1]) if declared else None
    where = pinned[1] if pinned else f"{folder.prefix}mix.exs"
    has_assets = is_phoenix and re.search(r"[\"']?assets\.deploy[\"']?:", mix) is not None
    build = "MIX_ENV=prod mix assets.deploy && MIX_ENV=prod mix release" if has_assets else "MIX_ENV=prod mix release"
    ecto = bool(packages & {"ecto_sql", "phoenix_ecto"})
    release = folder.first(f"lib/{name}/release.ex")
    unit = DeployUnit(
        path=folder.path,
        name=name,
        kind="library" if not runs else "backend" if serves else "worker",
        language="elixir",
        version=version,
        frameworks=("phoenix",) if is_phoenix else ("plug",) if serves else (),
        package_manager="mix",
        install="mix deps.get --only prod",
        build=build if runs else "mix compile",
        start=f"{'PHX_SERVER=true ' if is_phoenix else ''}_build/prod/rel/{name}/bin/{name} start" if runs else None,
        migrate=_migrate(name, release is not None) if ecto and runs else None,
        test="mix test",
        lint="mix credo --strict" if "credo" in packages else "mix format --check-formatted",
        typecheck="mix dialyzer" if "dialyxir" in packages else None,
        port=4000 if serves else None,
        entry=name,
        files=present(folder, "mix.exs", "mix.lock", ".tool-versions"),
    )
    notes = (f"{folder.path}: Elixir {version}, {where}",) if version else ()
    sign = Sign.APP if serves else Sign.RUNS if runs else Sign.TOOLING
    return Found(unit, sign, frozenset(packages), notes)


def _members(folder: Folder, mix: str) -> Iterator[str]:
    """The manifests of the applications an umbrella holds."""
    umbrella = _UMBRELLA.search(mix)
    base = f"{folder.prefix}{umbrella[1].strip('/')}/" if umbrella else None
    for path in sorted(folder.tree.folders):
        if base and path.startswith(base) and path.count("/") == base.count("/"):
            yield folder.tree.read(f"{path}/mix.exs")


def _migrate(name: str, has_release_module: bool) -> str:
    if has_release_module:
        module = "".join(part.capitalize() for part in name.split("_"))
        return f'_build/prod/rel/{name}/bin/{name} eval "{module}.Release.migrate"'
    return "MIX_ENV=prod mix ecto.migrate"


ELIXIR = Language("elixir", detect, ("mix.exs",))
