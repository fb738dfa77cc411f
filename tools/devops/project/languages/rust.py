"""Rust crates and workspaces: the binary to run, chosen as cargo chooses it."""

from __future__ import annotations

import re

from tools.devops.project.languages.language import Found, Language, Sign, number, present
from tools.devops.project.tree import Folder, dig, items, mapping, text, texts
from tools.devops.types import DeployUnit

_FRAMEWORKS = (
    ("axum", "axum", 3000),
    ("actix-web", "actix-web", 8080),
    ("rocket", "rocket", 8000),
    ("warp", "warp", 3030),
    ("poem", "poem", 3000),
    ("salvo", "salvo", 5800),
    ("tide", "tide", 8080),
    ("loco-rs", "loco", 5150),
    ("leptos", "leptos", 3000),
    ("tonic", "tonic", 50051),
    ("hyper", "hyper", 3000),
)


def detect(folder: Folder) -> Found | None:
    cargo = folder.toml("Cargo.toml")
    if not folder.first("Cargo.toml"):
        return None
    members = texts(dig(cargo, "workspace", "members"))
    needed = set(mapping(cargo.get("dependencies")))
    needed |= set(mapping(dig(cargo, "workspace", "dependencies"))) if not members else set()
    binary, sources = _binary(folder, cargo)
    found = [(name, port) for package, name, port in _FRAMEWORKS if package in needed]
    version, where = _version(folder, cargo)
    name = text(dig(cargo, "package", "name")) or folder.name
    serves = bool(found) or any("TcpListener" in source for _, source in folder.sources(".rs"))
    in_workspace = [p for p in folder.above() if p.path != folder.path and dig(p.toml("Cargo.toml"), "workspace")]
    up = "/".join([".."] * (folder.path.count("/") + 1)) + "/" if in_workspace else ""
    package = f" -p {name}" if in_workspace else ""
    locked = " --locked" if folder.first("Cargo.lock") or any(p.first("Cargo.lock") for p in in_workspace) else ""
    unit = DeployUnit(
        path=folder.path,
        name=name,
        kind="library" if binary is None else "backend" if serves else "worker",
        language="rust",
        version=version,
        frameworks=tuple(n for n, _ in found if n != "hyper" or len(found) == 1),
        package_manager="cargo",
        install="cargo fetch" + locked,
        build=f"cargo build --release{locked}{package}",
        start=f"{up or './'}target/release/{binary}" if binary else None,
        migrate=_migrate(folder, needed),
        test="cargo test" + locked + package,
        lint="cargo clippy --all-targets -- -D warnings",
        port=found[0][1] if found and binary else None,
        entry=binary,
        files=present(folder, "Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "rust-toolchain")
        + ((f"{up}Cargo.toml", f"{up}Cargo.lock") if in_workspace else ()),
        system_packages=_system_packages(cargo, needed),
    )
    notes: tuple[str, ...] = (f"{folder.path}: Rust {version}, {where}",) if version else ()
    if sources:
        notes += (f"{folder.path}: {binary} is run as the service; other binaries: {', '.join(sources[:10])}",)
    sign = Sign.TOOLING if binary is None else Sign.APP if found else Sign.RUNS
    if members and binary is None:
        notes += (f"{folder.path}: Cargo workspace of {', '.join(members[:10])}",)
    return Found(unit, sign, frozenset(needed | _features(cargo)), notes)


def _binary(folder: Folder, cargo: dict[str, object]) -> tuple[str | None, list[str]]:
    """The binary to run and the others: `default-run`, the package's own, then `[[bin]]` and `src/bin`."""
    name = text(dig(cargo, "package", "name"))
    named = [text(dig(entry, "name")) for entry in items(cargo.get("bin")) if text(dig(entry, "name"))]
    if (
        name
        and folder.first("src/main.rs")
        and not any(text(dig(entry, "path")) == "src/main.rs" for entry in items(cargo.get("bin")))
    ):
        named.append(name)
    in_bin = (re.fullmatch(r"src/bin/([\w-]+)(?:\.rs|/main\.rs)", file) for file in folder.own_files)
    named += [found[1] for found in in_bin if found]
    named = list(dict.fromkeys(named))
    wanted = text(dig(cargo, "package", "default-run"))
    usual = [n for n in (wanted, name, "server", "api", "web", "app") if n in named]
    chosen = usual[0] if usual else named[0] if named else None
    return chosen, [other for other in named if other != chosen]


def _features(cargo: dict[str, object]) -> set[str]:
    """`crate/feature` for the crates whose features choose a database."""
    return {
        f"{crate}/{feature}"
        for crate in ("sqlx", "diesel", "sea-orm", "deadpool", "diesel-async")
        for feature in texts(dig(cargo, "dependencies", crate, "features"))
    }


def _version(folder: Folder, cargo: dict[str, object]) -> tuple[str | None, str]:
    for place in folder.above():
        for file in ("rust-toolchain.toml", "rust-toolchain"):
            channel = text(dig(place.toml(file), "toolchain", "channel")) if file.endswith("toml") else ""
            pin = channel or ("" if file.endswith("toml") else place.read(file).strip())
            if pinned := number(pin if re.match(r"\d+\.\d", pin) else ""):
                return pinned, place.prefix + file
    minimum = number(text(dig(cargo, "package", "rust-version")))
    return (minimum, f"{folder.prefix}Cargo.toml rust-version") if minimum else (None, "")


def _migrate(folder: Folder, needed: set[str]) -> str | None:
    if folder.has_folder("migrations"):
        if "sqlx" in needed:
            return "sqlx migrate run"
        if "diesel" in needed:
            return "diesel migration run"
    return "sea-orm-cli migrate up" if folder.has_folder("migration") and "sea-orm" in needed else None


def _system_packages(cargo: dict[str, object], needed: set[str]) -> tuple[str, ...]:
    names: set[str] = set()
    if "openssl" in needed or "native-tls" in needed:
        names |= {"pkg-config", "libssl-dev", "libssl3"}
    if "diesel" in needed and "postgres" in texts(dig(cargo, "dependencies", "diesel", "features")):
        names |= {"libpq-dev", "libpq5"}
    return tuple(sorted(names))


RUST = Language("rust", detect, ("Cargo.toml",))
