"""Languages that need no more than a row: what marks them, how they are built and started."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.devops.project.languages.language import Found, Language, Sign, present
from tools.devops.project.tree import Folder
from tools.devops.types import DeployUnit


@dataclass(frozen=True, slots=True)
class Row:
    """`marks` are file names or `*.ending`; `{name}` stands for the name found by `name_in` in the marking file."""

    language: str
    marks: tuple[str, ...]
    manager: str | None
    install: str | None
    build: str | None
    start: str
    name_in: str | None = None
    serves: str = r"(?i)\b(?:http|listen|server)\b"


ROWS = (
    Row(
        "crystal",
        ("shard.yml",),
        "shards",
        "shards install --production",
        "shards build --release",
        "./bin/{name}",
        r"^name:\s*([\w-]+)",
    ),
    Row(
        "dart",
        ("pubspec.yaml",),
        "pub",
        "dart pub get",
        "dart compile exe bin/{name}.dart -o bin/{name}",
        "./bin/{name}",
        r"^name:\s*(\w+)",
    ),
    Row(
        "gleam",
        ("gleam.toml",),
        "gleam",
        "gleam deps download",
        "gleam export erlang-shipment",
        "./build/erlang-shipment/entrypoint.sh run",
        r"^name\s*=\s*\"(\w+)",
    ),
    Row(
        "haskell",
        ("stack.yaml", "*.cabal"),
        "stack",
        "stack setup",
        "stack install --local-bin-path bin",
        "./bin/{name}",
        r"^name:\s*([\w-]+)",
    ),
    Row(
        "swift",
        ("Package.swift",),
        "swiftpm",
        "swift package resolve",
        "swift build -c release",
        "./.build/release/{name}",
        r"name:\s*\"([\w-]+)\"",
    ),
    Row(
        "zig",
        ("build.zig",),
        "zig",
        None,
        "zig build -Doptimize=ReleaseSafe",
        "./zig-out/bin/{name}",
        r"\.name\s*=\s*\"([\w-]+)\"",
    ),
    Row(
        "clojure",
        ("project.clj",),
        "lein",
        "lein deps",
        "lein uberjar",
        "java -jar target/uberjar/*-standalone.jar",
        r"defproject\s+([\w./-]+)",
    ),
    Row("clojure", ("deps.edn",), "clojure", "clojure -P", "clojure -T:build uber", "java -jar target/*.jar"),
    Row(
        "cpp",
        ("CMakeLists.txt",),
        "cmake",
        None,
        "cmake -S . -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build",
        "./build/{name}",
        r"add_executable\(\s*([\w-]+)",
    ),
    Row(
        "cpp",
        ("meson.build",),
        "meson",
        None,
        "meson setup build --buildtype release && meson compile -C build",
        "./build/{name}",
        r"executable\(\s*'([\w-]+)'",
    ),
    Row("shell", ("start.sh",), None, None, None, "sh start.sh"),
)


def detect(folder: Folder) -> Found | None:
    for row in ROWS:
        marks = [name for mark in row.marks for name in folder.matching(mark)]
        if marks:
            return _unit(folder, row, marks[0])
    return None


def _unit(folder: Folder, row: Row, mark: str) -> Found:
    content = folder.read(mark)
    found = re.search(row.name_in, content, re.MULTILINE) if row.name_in else None
    name = found[1] if found else folder.name
    start = row.start
    if row.language == "shell" and re.match(r"#!.*\bbash\b", content):
        start = "bash start.sh"
    serves = re.search(row.serves, content) is not None or any(
        re.search(row.serves, source)
        for _, source in folder.sources(".cr", ".dart", ".gleam", ".hs", ".swift", ".clj", ".cpp")
    )
    unit = DeployUnit(
        path=folder.path,
        name=name,
        kind="backend" if serves else "worker",
        language=row.language,
        package_manager=row.manager,
        install=row.install,
        build=row.build.format(name=name) if row.build else None,
        start=start.format(name=name),
        files=present(folder, *folder.matching("*.lock"), mark),
    )
    return Found(unit, Sign.RUNS)


OTHERS = Language(
    "others", detect, tuple(mark for row in ROWS for mark in row.marks if mark != "start.sh"), ("start.sh",)
)
