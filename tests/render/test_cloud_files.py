"""The files of the clouds: what the real tools and our own gates say, and what each must promise."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.devops.checks import run_checks, to_text

CLOUDS = [
    "fastapi-lambda",
    "handlers-lambda-ko",
    "fastapi-ecs",
    "monorepo-ecs-ko",
    "fastapi-droplet",
    "monorepo-ec2-ko",
    "fastapi-cloud-run",
    "monorepo-azure-ko",
]
TERRAFORM = ["fastapi-ecs", "monorepo-ecs-ko", "fastapi-droplet", "monorepo-ec2-ko"]
QUIET = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": "/dev/null"}


class CloudFormation(yaml.SafeLoader):
    """YAML with the short forms of CloudFormation's functions, each as `{name: argument}`."""


def _short_form(loader: CloudFormation, name: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.ScalarNode)
    return {name: loader.construct_scalar(node)}


CloudFormation.add_multi_constructor("!", _short_form)


def cloudformation(text: str) -> Any:
    return yaml.load(text, CloudFormation)


def put(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def workflow_of(sample: Any) -> str:
    text = sample.files("workflow")[".github/workflows/ci-cd.yml"]
    assert isinstance(text, str)
    return text


def job(text: str, name: str) -> Any:
    return yaml.safe_load(text)["jobs"][name]


def steps(body: Any) -> list[str]:
    return [step["name"] for step in body["steps"]]


@pytest.mark.slow
@pytest.mark.parametrize("name", CLOUDS)
def test_every_gate_passes_on_what_is_written(samples: dict[str, Any], name: str, tmp_path: Path) -> None:
    sample = samples[name]
    put(tmp_path, sample.files())
    report = run_checks(tmp_path, project=sample.project, spec=sample.spec)
    assert not report.errors, to_text(report)
    assert not report.not_verified, to_text(report)


@pytest.mark.parametrize("name", CLOUDS)
def test_no_key_is_stored_and_the_role_is_taken_by_name(samples: dict[str, Any], name: str) -> None:
    text = workflow_of(samples[name])
    assert not re.search(r"aws-access-key|AWS_SECRET|credentials_json|client-secret|AZURE_CREDENTIALS", text)
    for job_name, body in yaml.safe_load(text)["jobs"].items():
        wanted = job_name.startswith("build") or (job_name.startswith("deploy") and "droplet" not in name)
        assert ("id-token" in body["permissions"]) is wanted


@pytest.mark.parametrize("name", CLOUDS)
def test_a_failed_deployment_is_taken_back(samples: dict[str, Any], name: str) -> None:
    for job_name, body in yaml.safe_load(workflow_of(samples[name]))["jobs"].items():
        if not job_name.startswith("deploy"):
            continue
        names = steps(body)
        back = next(step for step in body["steps"] if step["name"] == "Roll back")
        assert back["if"].startswith("failure() && ")
        checked = next(i for i, n in enumerate(names) if n.startswith("Check the "))
        assert names.index("Roll back") > checked
    texts = samples[name].plan().strategy
    assert any(key.endswith(".rollback") for key in texts)


# --- AWS Lambda ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.needs("cfn-lint")
@pytest.mark.parametrize("name", ["fastapi-lambda", "handlers-lambda-ko"])
def test_cloudformation_templates_are_clean_for_cfn_lint(samples: dict[str, Any], name: str, tmp_path: Path) -> None:
    files = {path: text for path, text in samples[name].files("sam").items() if path.endswith(".yaml")}
    put(tmp_path, files)
    done = subprocess.run(["cfn-lint", "--", *files], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_server_becomes_a_function_behind_the_web_adapter(samples: dict[str, Any]) -> None:
    files = samples["fastapi-lambda"].files("sam", "dockerfile")
    assert "/opt/extensions/lambda-adapter" in files["Dockerfile"]
    function = cloudformation(files["template.yaml"])["Resources"]["Function"]["Properties"]
    assert function["PackageType"] == "Image"
    variables = function["Environment"]["Variables"]
    assert variables["AWS_LWA_PORT"] == "8000"
    assert variables["AWS_LWA_ERROR_STATUS_CODES"] == "500-599", "the alarm would not see a 500"
    assert variables["AWS_LWA_READINESS_CHECK_PROTOCOL"] == "tcp", "a database outage would stop every start"
    assert "{{resolve:secretsmanager:" in variables["SECRET_KEY"]["Sub"]


def test_the_adapter_is_in_no_other_image(samples: dict[str, Any]) -> None:
    assert "lambda-adapter" not in samples["fastapi-pip-railway"].files("dockerfile")["Dockerfile"]


def test_a_handler_is_deployed_from_its_source(samples: dict[str, Any]) -> None:
    files = samples["handlers-lambda-ko"].files("sam")
    function = cloudformation(files["jobs/template.yaml"])["Resources"]["Function"]["Properties"]
    assert (function["Handler"], function["Runtime"]) == ("handler.lambda_handler", "python3.13")
    assert tomllib.loads(files["jobs/samconfig.toml"])["prod"]["deploy"]["parameters"]["resolve_s3"] is True
    assert "sam build" in str(job(workflow_of(samples["handlers-lambda-ko"]), "deploy-jobs"))


@pytest.mark.parametrize("path", ["template.yaml"])
def test_the_rollout_is_gradual_and_an_alarm_takes_it_back(samples: dict[str, Any], path: str) -> None:
    resources = cloudformation(samples["fastapi-lambda"].files("sam")[path])["Resources"]
    function = resources["Function"]["Properties"]
    assert function["AutoPublishAlias"] == "live"
    for alarm in function["DeploymentPreference"]["Alarms"]:
        properties = resources[alarm["Ref"]]["Properties"]
        assert properties["TreatMissingData"] == "notBreaching"
        assert {"Name": "Resource", "Value": {"Sub": "${Function}:live"}} in properties["Dimensions"]


def test_only_this_repository_and_environment_may_take_the_deploy_role(samples: dict[str, Any]) -> None:
    template = cloudformation(samples["fastapi-lambda"].files("sam")["infra/bootstrap.yaml"])
    assert template["Parameters"]["GitHubRepository"]["Default"] == "Acme/Shop"
    roles = template["Resources"]
    trust = roles["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
    subject = trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    text, names = subject["Sub"]
    assert text == "repo:${GitHubRepository}:environment:${Name}"
    assert names["Name"]["If"] == ["IsProduction", "production", {"Ref": "Environment"}]
    for statement in roles["DeployRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not any("*" in action for action in actions)
        assert not any(action.startswith("iam:") and action != "iam:PassRole" for action in actions)


def test_three_environments_have_settings_of_their_own(samples: dict[str, Any]) -> None:
    settings = tomllib.loads(samples["handlers-lambda-ko"].files("sam")["api/samconfig.toml"])
    stacks = {settings[name]["deploy"]["parameters"]["stack_name"] for name in ("dev", "staging", "prod")}
    assert len(stacks) == 3
    assert settings["default"]["global"]["parameters"]["region"] == "ap-northeast-2"


# --- AWS ECS ---------------------------------------------------------------------------------------------------------


def terraform_files(sample: Any) -> dict[str, str]:
    return {path: text for path, text in sample.files("terraform").items() if path.endswith((".tf", ".tfvars"))}


@pytest.mark.needs("terraform")
@pytest.mark.parametrize("name", TERRAFORM)
def test_terraform_files_parse_and_are_formatted(samples: dict[str, Any], name: str, tmp_path: Path) -> None:
    put(tmp_path, terraform_files(samples[name]))
    command = ["terraform", "fmt", "-check", "-recursive", "-diff", "-no-color", "infra"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env=QUIET)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", TERRAFORM)
def test_every_name_that_terraform_files_use_is_declared(samples: dict[str, Any], name: str) -> None:
    """What `terraform validate` would say of names, without the providers it needs a network for."""
    text = "\n".join(t for p, t in terraform_files(samples[name]).items() if p.endswith(".tf"))
    code = re.sub(r"#[^\n]*", "", text)
    declared = {f"{kind}.{label}" for kind, label in re.findall(r'^resource "(\w+)" "(\w+)"', code, re.MULTILINE)}
    declared |= {
        f"{block}.{kind}.{label}"
        for block, kind, label in re.findall(r'^(data|ephemeral) "(\w+)" "(\w+)"', code, re.MULTILINE)
    }
    used = set(re.findall(r"(?<![\w.\"])((?:data\.|ephemeral\.)?(?:aws|digitalocean|random)_\w+\.\w+)", code))
    assert used <= declared, used - declared
    assert set(re.findall(r"\bvar\.(\w+)", code)) == set(re.findall(r'^variable "(\w+)"', code, re.MULTILINE))
    local = set(
        re.findall(r"^  (\w+)\s*= ", "\n".join(re.findall(r"^locals \{.*?^\}", code, re.MULTILINE | re.DOTALL)), re.M)
    )
    assert set(re.findall(r"\blocal\.(\w+)", code)) <= local
    for path, values in terraform_files(samples[name]).items():
        if path.endswith(".tfvars"):
            assert set(re.findall(r"^(\w+)", values, re.MULTILINE)) <= set(re.findall(r'variable "(\w+)"', code))


def test_ecs_goes_back_by_itself_and_keeps_its_data(samples: dict[str, Any]) -> None:
    files = terraform_files(samples["fastapi-ecs"])
    assert re.search(r"deployment_circuit_breaker \{\s+enable\s+= true\s+rollback = true", files["infra/service.tf"])
    data = files["infra/data.tf"]
    for promise in (
        "storage_encrypted               = true",
        "publicly_accessible             = false",
        "password_wo ",
    ):
        assert promise in data
    assert not re.search(r'password\s*= "', data)
    assert "protected   = true" in files["infra/environments/prod.tfvars"]
    assert "protected   = false" in files["infra/environments/dev.tfvars"]
    assert "use_lockfile = true" in files["infra/versions.tf"]


def test_ecs_runs_the_image_by_the_digest_that_was_scanned(samples: dict[str, Any]) -> None:
    text = workflow_of(samples["fastapi-ecs"])
    assert "skopeo copy --all --preserve-digests" in text
    names = steps(job(text, "deploy"))
    assert names.index("Migrate the database") < names.index("Deploy; the circuit breaker returns to the old tasks")
    assert "orders-worker" in str(job(text, "deploy")["steps"])


def test_ecs_without_a_database_makes_none(samples: dict[str, Any], api: Any, make_sample: Any) -> None:
    files = make_sample((replace(api, services=(), env=()),), ("aws-ecs",)).files("terraform")
    assert "infra/data.tf" not in files
    assert "random" not in files["infra/versions.tf"]
    assert "aws_subnet.private" not in files["infra/network.tf"]


# --- servers of one's own: see test_switch_script.py for the switch ---------------------------------------------------


def test_the_droplet_is_reached_with_a_pinned_key_through_a_door_that_shuts(samples: dict[str, Any]) -> None:
    body = job(workflow_of(samples["fastapi-droplet"]), "deploy")
    text = str(body["steps"])
    assert "StrictHostKeyChecking yes" in text
    assert "ssh-keyscan" not in text
    assert body["steps"][-1]["name"] == "Shut the door"
    assert body["steps"][-1]["if"].startswith("always()")


def test_the_machine_in_ec2_has_no_open_port_but_the_web(samples: dict[str, Any]) -> None:
    files = samples["monorepo-ec2-ko"].files("terraform", "workflow")
    assert not re.search(
        r"\b22\b", re.sub(r'description.*|"Open.*', "", files["infra/ec2/main.tf"]).replace("port 22", "")
    )
    assert "ssh " not in files[".github/workflows/ci-cd.yml"]
    assert 'http_tokens = "required"' in files["infra/ec2/main.tf"]


def test_the_compose_file_of_a_server_has_two_slots_and_one_proxy(samples: dict[str, Any]) -> None:
    text = samples["fastapi-droplet"].files("terraform")["infra/droplet/server/compose.yaml"]
    services = yaml.safe_load(text)["services"]
    assert set(services) == {"caddy", "orders-blue", "orders-green", "orders-worker", "orders-nightly"}
    assert [name for name, service in services.items() if "ports" in service] == ["caddy"]
    assert services["orders-worker"]["healthcheck"] == {"disable": True}


# --- Google Cloud Run, Azure Container Apps ---------------------------------------------------------------------------


def test_a_cloud_run_revision_starts_without_traffic(samples: dict[str, Any]) -> None:
    sample = samples["fastapi-cloud-run"]
    service = yaml.safe_load(sample.files("cloudrun")["cloudrun/orders.yaml"])
    container = service["spec"]["template"]["spec"]["containers"][0]
    assert container["startupProbe"]["httpGet"]["path"] == "/health"
    assert all("secretKeyRef" in variable["valueFrom"] for variable in container["env"])
    text = str(job(workflow_of(sample), "deploy")["steps"])
    assert '"percent": 0, "tag": "candidate"' in text
    assert text.index("$OLD=90,$NEW=10") < text.index("$NEW=100")


def test_a_container_app_keeps_the_old_revision_until_the_new_one_is_proven(samples: dict[str, Any]) -> None:
    sample = samples["monorepo-azure-ko"]
    files = sample.files("containerapps")
    app, worker = (yaml.safe_load(files[f"containerapps/{name}.yaml"])["properties"] for name in ("api", "jobs"))
    assert app["configuration"]["activeRevisionsMode"] == "Multiple"
    assert app["configuration"]["ingress"]["allowInsecure"] is False
    assert worker["configuration"]["activeRevisionsMode"] == "Single"
    assert "ingress" not in worker["configuration"]
    assert all("keyVaultUrl" in secret for secret in app["configuration"]["secrets"])


@pytest.mark.parametrize("platform", ["gcp-cloud-run", "aws-lambda"])
def test_a_worker_is_not_forced_onto_a_platform_for_requests(api: Any, make_sample: Any, platform: str) -> None:
    worker = replace(api, kind="worker", start="celery -A app worker", port=None, health_path=None, migrate=None)
    sample = make_sample((worker,), (platform,))
    assert "deploy" not in yaml.safe_load(workflow_of(sample))["jobs"]
    assert not sample.files("sam", "terraform", "cloudrun")
    assert sample.plan().notes


def test_the_scanners_word_for_azure_means_container_apps(samples: dict[str, Any]) -> None:
    assert "containerapps/jobs.yaml" in samples["monorepo-azure-ko"].files("containerapps")


def test_prices_that_are_not_on_record_stay_unknown(samples: dict[str, Any]) -> None:
    known = {"fastapi-lambda": False, "fastapi-droplet": False, "fastapi-cloud-run": False, "monorepo-azure-ko": False}
    for name in known:
        cost = samples[name].plan().cost
        assert cost["monthly"] is None
        assert cost["unknown"]


PRICES = (
    ("aws-lambda", 2.87),
    ("aws-ecs", 25.44),
    ("digitalocean", 12.0),
    ("aws-ec2", 17.58),
    ("gcp-cloud-run", 5.45),
    ("azure-container-apps", 14.59),
)


def test_prices_on_record_are_added_up(api: Any, make_sample: Any) -> None:
    alone = replace(api, services=(), env=())
    for platform, monthly in PRICES:
        assert make_sample((alone,), (platform,)).plan().cost["monthly"] == monthly, platform


def test_two_units_on_vercel_are_two_projects(samples: dict[str, Any]) -> None:
    sample = samples["two-sites-vercel"]
    names = {v.name for v in sample.plan().env if v.lives_in == "ci"}
    assert names == {"VERCEL_TOKEN", "VERCEL_ORG_ID", "VERCEL_PROJECT_ID_ACME_WEB", "VERCEL_PROJECT_ID_SITE"}
    text = workflow_of(sample)
    assert "VERCEL_PROJECT_ID: ${{ secrets.VERCEL_PROJECT_ID_SITE }}" in text
    assert "secrets.VERCEL_PROJECT_ID }}" not in text
    assert "secrets.VERCEL_PROJECT_ID }}" in workflow_of(samples["next-vercel"])


@pytest.mark.parametrize(("platform", "monthly"), [("aws-ecs", 37.12), ("gcp-cloud-run", 41.22), ("azure", 30.59)])
def test_a_cache_is_a_part_of_the_estimate(api: Any, make_sample: Any, platform: str, monthly: float) -> None:
    sample = make_sample((replace(api, services=("redis",), env=("REDIS_URL",)),), (platform,))
    assert sample.plan().cost["monthly"] == monthly


def test_what_is_known_to_cost_too_much_is_over_the_budget(api: Any, make_sample: Any, make_spec: Any) -> None:
    for amount, within in ((30, False), (5000, None)):
        sample = make_sample((api,), ("gcp-cloud-run",), make_spec(budget={"amount": amount, "currency": "USD"}))
        plan = sample.plan()
        assert (plan.cost["monthly"], plan.cost["within_budget"]) == (None, within)
        told = "\n".join(plan.notes) + sample.files("architecture")["docs/deployment/architecture.md"]
        assert ("over the budget" in told) == (within is False)
        assert ("exceeds the budget" in told) == (within is False)
