"""The two-slot switch on a real shell: `docker` and `curl` are small programs that record what they were asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

DOCKER = """#!/bin/sh
echo "docker $*" >> "$CALLS"
case "$*" in *" --wait --wait-timeout "*"$UNHEALTHY"*) [ -z "$UNHEALTHY" ] || exit 1 ;; esac
"""
CURL = """#!/bin/sh
echo "curl $*" >> "$CALLS"
[ -z "$SILENT" ]
"""
CRONTAB = """#!/bin/sh
if [ "$1" = -l ]; then cat "$TABLE" 2> /dev/null; else cat > "$TABLE.new" && mv "$TABLE.new" "$TABLE"; fi
"""
OLD = "ghcr.io/acme/orders@sha256:" + "a" * 64
NEW = "ghcr.io/acme/orders@sha256:" + "b" * 64


class Server:
    """A folder as it lies on the server, and what the script did in it."""

    def __init__(self, root: Path, script: str) -> None:
        self.root = root
        (root / "switch.sh").write_text(script, encoding="utf-8")
        (root / ".env").write_text("DOMAIN=shop.example.com\n", encoding="utf-8")
        (root / "orders.env").touch()
        (root / "bin").mkdir()
        for name, text in (("docker", DOCKER), ("curl", CURL), ("crontab", CRONTAB)):
            (root / "bin" / name).write_text(text, encoding="utf-8")
            (root / "bin" / name).chmod(0o755)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (self.root / "calls").write_text("", encoding="utf-8")
        env = {"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}", "CALLS": str(self.root / "calls"), "PAUSE": "0"}
        env["TABLE"] = str(self.root / "table")
        return subprocess.run(
            [shutil.which("bash") or "bash", str(self.root / "switch.sh"), *arguments],
            env={**env, "UNHEALTHY": "", "SILENT": "", **environment},
            capture_output=True,
            text=True,
            timeout=30,
        )

    @property
    def calls(self) -> list[str]:
        return (self.root / "calls").read_text(encoding="utf-8").splitlines()

    @property
    def upstream(self) -> str:
        path = self.root / "upstreams" / "orders"
        return path.read_text(encoding="utf-8").strip() if path.exists() else ""


@pytest.fixture
def server(samples: dict[str, Any], tmp_path: Path) -> Server:
    files = samples["fastapi-droplet"].files("terraform")
    return Server(tmp_path, files["infra/droplet/server/switch.sh"])


def test_the_slots_take_turns_and_the_migration_comes_first(server: Server) -> None:
    first = server.run("deploy", "orders", OLD)
    assert first.returncode == 0, first.stderr
    assert server.upstream == "reverse_proxy orders-blue:8000"
    migrated = next(i for i, call in enumerate(server.calls) if "alembic upgrade head" in call)
    started = next(i for i, call in enumerate(server.calls) if call.endswith("orders-blue"))
    assert migrated < started
    assert any(call.endswith("orders-worker") for call in server.calls)
    second = server.run("deploy", "orders", NEW)
    assert second.returncode == 0, second.stderr
    assert server.upstream == "reverse_proxy orders-green:8000"
    assert not any("stop" in call or "orders-blue" in call for call in server.calls), "the old slot keeps running"
    assert f"ORDERS_BLUE={OLD}" in (server.root / ".env").read_text()


def test_a_version_that_never_becomes_healthy_gets_no_traffic(server: Server) -> None:
    server.run("deploy", "orders", OLD)
    failed = server.run("deploy", "orders", NEW, UNHEALTHY="orders-green")
    assert failed.returncode == 1
    assert "blue keeps serving" in failed.stderr
    assert server.upstream == "reverse_proxy orders-blue:8000"
    assert not any("reload" in call for call in server.calls)


def test_a_version_that_does_not_answer_loses_the_traffic(server: Server) -> None:
    server.run("deploy", "orders", OLD)
    failed = server.run("deploy", "orders", NEW, SILENT="1")
    assert failed.returncode == 1
    assert server.upstream == "reverse_proxy orders-blue:8000"
    assert sum("reload" in call for call in server.calls) == 2
    assert not any(call.endswith("orders-worker") for call in server.calls), "workers stay on the old version"


def test_back_returns_to_the_other_slot(server: Server) -> None:
    server.run("deploy", "orders", OLD)
    server.run("deploy", "orders", NEW)
    back = server.run("back", "orders")
    assert back.returncode == 0, back.stderr
    assert server.upstream == "reverse_proxy orders-blue:8000"
    assert f"ORDERS_ACTIVE={OLD}" in (server.root / ".env").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("deploy", "nobody", NEW), "There is no unit nobody"),
        (("back", "orders"), "nothing was deployed yet"),
        (("deploy", "orders"), "the image by digest"),
        ((), "deploy or back"),
        (("forward", "orders"), "deploy or back"),
    ],
)
def test_wrong_use_changes_nothing(server: Server, arguments: tuple[str, ...], message: str) -> None:
    done = server.run(*arguments)
    assert done.returncode != 0
    assert message in done.stderr
    assert server.upstream == ""
    assert server.calls == []


def test_the_script_is_clean_for_shellcheck(server: Server) -> None:
    import sys

    program = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run([str(program), str(server.root / "switch.sh")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_jobs_start_at_their_times_and_once(server: Server) -> None:
    table = server.root / "table"
    table.write_text("@reboot /usr/local/bin/mine\n0 1 * * * old # orders job\n5 5 * * * theirs # shop job\n")
    for image in (OLD, NEW):
        assert server.run("deploy", "orders", image).returncode == 0
    lines = table.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["@reboot /usr/local/bin/mine", "5 5 * * * theirs # shop job"]
    (line,) = lines[2:]
    assert line.startswith(f"0 3 * * * flock --nonblock {server.root}/.orders-nightly.lock docker compose ")
    assert line.endswith(" orders-nightly # orders job")
    assert f"ORDERS_ACTIVE={NEW}" in (server.root / ".env").read_text(encoding="utf-8")
