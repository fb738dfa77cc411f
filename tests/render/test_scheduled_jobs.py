"""Cron jobs and workers of a unit, on every platform: what starts them, as whom, and what is missing."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tools.devops.checks.documents import parse_yaml
from tools.devops.cron import eventbridge, fields, five_fields


@given(st.text(alphabet="0123456789*/,-? MONJANsu@daily", max_size=24))
def test_an_expression_is_read_or_refused(text: str) -> None:
    plain = five_fields(text)
    assert plain is None or fields(plain) is not None
    assert plain is None or five_fields(plain) == plain


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/15 * * * *", "cron(*/15 * * * ? *)"),
        ("0 9 * * MON-FRI", "cron(0 9 ? * 2,3,4,5,6 *)"),
        ("0 0 * * 7", "cron(0 0 ? * 1 *)"),
        ("@monthly", "cron(0 0 1 * ? *)"),
        ("0 0 1 * 1", None),
        ("every day", None),
    ],
)
def test_eventbridge_is_told_the_same_time(expression: str, expected: str | None) -> None:
    assert eventbridge(expression) == expected


@pytest.mark.parametrize("handler", ["python", "node"])
def test_a_job_on_lambda_runs_its_command_for_each_event(
    samples: dict[str, Any], node: Any, make_sample: Any, handler: str, tmp_path: Path
) -> None:
    """The program in the template is started as Lambda starts it; events are posted as the web adapter posts them."""
    sample = samples["fastapi-lambda"]
    if handler == "node":
        weekly = {"name": "report", "command": "node report.js", "schedule": "30 4 * * MON"}
        sample = make_sample((replace(node, cron=(weekly,)),), ("aws-lambda",))
    job = parse_yaml("template.yaml", sample.files("sam")["template.yaml"])[0].value["Resources"]["Job1"]["Properties"]
    expected = {"python": "cron(0 3 * * ? *)", "node": "cron(30 4 ? * 2 *)"}
    assert job["Events"]["Time"]["Properties"]["ScheduleExpression"] == expected[handler]
    program, *arguments = job["ImageConfig"]["Command"]
    if handler == "node" and shutil.which("node") is None:
        pytest.skip("node is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shell = f"echo ran >> {tmp_path}/ran; test ! -e {tmp_path}/fail"
    environment = {"PATH": os.environ["PATH"], "PORT": str(port), "JOB": shell}
    start = [sys.executable if program == "python" else program, *arguments]
    with subprocess.Popen(start, env=environment, stderr=subprocess.DEVNULL) as server:
        try:
            assert ask(port, "GET") == 200
            assert not (tmp_path / "ran").exists(), "the readiness check is no event"
            assert ask(port, "POST") == 200
            (tmp_path / "fail").touch()
            assert ask(port, "POST") == 500
            assert (tmp_path / "ran").read_text() == "ran\nran\n"
        finally:
            server.kill()


def ask(port: int, method: str) -> int:
    """The status of one request; until the server listens, it is tried again."""
    for _ in range(200):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request(method, "/events", body=b"{}")
            return connection.getresponse().status
        except ConnectionRefusedError:
            time.sleep(0.02)
        finally:
            connection.close()
    raise AssertionError("the server never listened")


def test_what_a_platform_cannot_run_is_said_for_each_unit(api: Any, make_sample: Any) -> None:
    worker, nightly = {"name": "mail", "command": "celery -A app worker"}, {"name": "n", "command": "python n.py"}
    unit = replace(api, workers=(worker,), cron=({**nightly, "schedule": "0 3 1 * 1"},))
    expected = {
        "aws-lambda": ("orders-mail", "no function is written for orders-n"),
        "gcp-cloud-run": ("Missing: the workers orders-mail",),
        "vercel": ("starts no command at a time of day", "Missing: the workers orders-mail"),
        "aws-ecs": ("cannot limit day of the month and day of the week",),
    }
    for platform, texts in expected.items():
        notes = "\n".join(make_sample((unit,), (platform,)).plan().notes)
        assert all(text in notes for text in texts), (platform, notes)
    quiet = "\n".join(make_sample((unit,), ("kubernetes",)).plan().notes)
    assert "Missing: the" not in quiet


def test_ecs_starts_a_job_at_its_time(samples: dict[str, Any]) -> None:
    files = samples["fastapi-ecs"].files("terraform")
    assert 'schedule = "cron(0 3 * * ? *)"' in files["infra/service.tf"]
    assert "aws_scheduler_schedule" in files["infra/schedules.tf"]
    assert "infra/schedules.tf" not in samples["monorepo-ecs-ko"].files("terraform")
    assert (
        "for job in orders-nightly; do register"
        in samples["fastapi-ecs"].files("workflow")[".github/workflows/ci-cd.yml"]
    )


def test_jobs_of_cloud_run_and_container_apps_have_identity_and_secrets(samples: dict[str, Any]) -> None:
    run = samples["fastapi-cloud-run"].files("cloudrun")
    for name in ("orders-migrate", "orders-nightly"):
        pod = yaml.safe_load(run[f"cloudrun/{name}.yaml"])["spec"]["template"]["spec"]["template"]["spec"]
        assert pod["serviceAccountName"] == "orders-run"
        assert {v["name"] for v in pod["containers"][0]["env"]} >= {"DATABASE_URL", "SECRET_KEY"}
    apps = samples["monorepo-azure-ko"].files("containerapps")
    assert {"containerapps/api-queue.yaml", "containerapps/api-report.yaml"} <= set(apps)
    migrate = yaml.safe_load(apps["containerapps/api-migrate.yaml"])
    (identity,) = migrate["identity"]["userAssignedIdentities"]
    assert all(secret["identity"] == identity for secret in migrate["properties"]["configuration"]["secrets"])
    report = yaml.safe_load(apps["containerapps/api-report.yaml"])["properties"]["configuration"]
    assert report["scheduleTriggerConfig"]["cronExpression"] == "30 4 * * 1"


def test_vercel_visits_a_path_at_its_time(samples: dict[str, Any]) -> None:
    assert (
        '"crons": [\n    { "path": "/api/digest", "schedule": "0 6 * * *" }'
        in samples["next-vercel"].files("vercel")["vercel.json"]
    )


def test_netlify_visits_a_function_at_its_time(samples: dict[str, Any]) -> None:
    sample = samples["spa-netlify"]
    (unit,) = sample.units
    visit = {"path": "/.netlify/functions/digest", "schedule": "0 6 * * *"}
    page = {"path": "/digest", "schedule": "0 7 * * *"}
    plan = replace(sample, units=(replace(unit, cron=(visit, page)),))
    assert tomllib.loads(plan.files()["web/netlify.toml"])["functions"] == {"digest": {"schedule": "0 6 * * *"}}
    assert any("/digest (0 7 * * *)" in note for note in plan.plan().notes), "a page cannot be visited on a schedule"
