"""The `sam` gate: AWS SAM templates against service limits, the roll-back that SAM offers, and who may deploy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tools.devops.checks.dockerfile import looks_secret
from tools.devops.checks.documents import Document, mapping, sequence
from tools.devops.checks.gate import Gate, Linter, Subject, each, lookup
from tools.devops.checks.linters import cfn_lint
from tools.devops.checks.rules import Rule, Rules
from tools.devops.checks.tree import BadFileError
from tools.devops.types import Finding

_LIMITS = "docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, as of 2026"
_SAM = "docs.aws.amazon.com/serverless-application-model"

RULES = Rules(
    "sam",
    {
        "timeout": Rule(
            "error",
            "Lambda ends a function after 900 s at most; cfn-lint accepts more.",
            "Set Timeout to 900 or less, or split the work.",
            f"{_LIMITS}; measured on cfn-lint 1.58",
        ),
        "api-timeout": Rule(
            "warning",
            "API Gateway gives up after about 29 s, whatever the function's Timeout says.",
            "Set Timeout to 29 or less for functions behind an API, or answer asynchronously.",
            _LIMITS,
        ),
        "memory": Rule("error", "Lambda takes 128 to 10240 MB.", "Set MemorySize within these limits.", _LIMITS),
        "runtime": Rule(
            "error",
            "AWS no longer lets functions with this runtime be created or updated.",
            "Use a current runtime, for example python3.13 or nodejs22.x.",
            "docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html",
        ),
        "secret": Rule(
            "error",
            "The value is in git, in the stack and readable for everyone with view rights.",
            "Read it from Secrets Manager or Parameter Store: `{{resolve:secretsmanager:...}}`.",
            _SAM,
        ),
        "env-size": Rule(
            "error", "All variables of a function may take 4 KB.", "Move values to Parameter Store.", _LIMITS
        ),
        "layers": Rule("error", "A function may use 5 layers.", "Merge layers.", _LIMITS),
        "rollback": Rule(
            "warning",
            "A new version takes all traffic at once and nothing takes it back.",
            "Set AutoPublishAlias and DeploymentPreference (Canary10Percent5Minutes) with Alarms.",
            f"{_SAM}/automating-updates-to-serverless-apps",
        ),
        "admin-policy": Rule(
            "error",
            "A bug in the function controls the whole account.",
            "Grant single actions on named resources.",
            _SAM,
        ),
        "oidc-subject": Rule(
            "error",
            "Any repository on GitHub, or any branch and pull request of this one, could take the role.",
            "Compare `token.actions.githubusercontent.com:sub` with repo:OWNER/NAME:environment:NAME, and `:aud` too.",
            "docs.github.com/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws",
        ),
        "static-keys": Rule(
            "error",
            "A key of a user never expires, and stands in the stack.",
            "Let the pipeline take a role through OIDC.",
            "docs.aws.amazon.com/IAM best practices",
        ),
        "cors": Rule(
            "error", "Any site may call with the user's credentials.", "Name the origins.", "fetch.spec.whatwg.org"
        ),
    },
)

_OLD_RUNTIME = re.compile(
    r"python(2\.7|3\.[6-9])|nodejs(4\.3|6\.10|8\.10|10\.x|12\.x|14\.x|16\.x|18\.x)?|dotnetcore\S+|dotnet[56]|ruby2\.\d|go1\.x|java8"
)


def select(subject: Subject) -> tuple[str, ...]:
    """SAM templates, and the CloudFormation templates of this tool's own layout that belong to them."""
    found = []
    for path in subject.tree.files:
        named = re.search(r"(^|/)(template|sam|serverless)[\w.-]*$|^infra/[\w.-]+$", path)
        if not named or not path.endswith((".yaml", ".yml")):
            continue
        try:
            if re.search(r"AWS::Serverless|^AWSTemplateFormatVersion", subject.tree.text(path), re.MULTILINE):
                found.append(path)
        except BadFileError:
            found.append(path)
    return tuple(found)


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    yield from each(files, lambda path: _check_file(subject, path))


def _check_file(subject: Subject, path: str) -> Iterator[Finding]:
    for document in subject.yaml(path):
        shared = mapping(lookup(document.value, "Globals", "Function"))
        for name, value in mapping(mapping(document.value).get("Resources")).items():
            kind = mapping(value).get("Type")
            own = mapping(mapping(value).get("Properties"))
            if kind == "AWS::Serverless::Function":
                yield from _function(document, name, {**shared, **own})
            if kind in ("AWS::Serverless::Api", "AWS::Serverless::HttpApi"):
                yield from _cors(document, name, own)
            if kind == "AWS::IAM::Role":
                yield from _trust(document, name, own)
            if kind == "AWS::IAM::AccessKey":
                line = document.line("Resources", name)
                yield RULES.at("static-keys", document.file, line, f"{name} makes a long-lived key.")


def _function(document: Document, name: str, properties: dict[str, Any]) -> Iterator[Finding]:
    file = document.file

    def line(key: str) -> int:
        place = ("Resources", name, "Properties", key)
        return document.line(*place) if place in document.lines else document.line("Globals", "Function", key)

    timeout, memory = properties.get("Timeout"), properties.get("MemorySize")
    events = [mapping(event).get("Type") for event in mapping(properties.get("Events")).values()]
    if isinstance(timeout, int) and timeout > 900:
        yield RULES.at("timeout", file, line("Timeout"), f"{name} has Timeout {timeout}.")
    elif isinstance(timeout, int) and timeout > 29 and {"Api", "HttpApi"} & set(map(str, events)):
        yield RULES.at("api-timeout", file, line("Timeout"), f"{name} serves an API and has Timeout {timeout}.")
    if isinstance(memory, int) and not 128 <= memory <= 10240:
        yield RULES.at("memory", file, line("MemorySize"), f"{name} has MemorySize {memory}.")
    if _OLD_RUNTIME.fullmatch(str(properties.get("Runtime", "-"))):
        yield RULES.at("runtime", file, line("Runtime"), f"{name} uses {properties['Runtime']}.")
    if len(sequence(properties.get("Layers"))) > 5:
        yield RULES.at("layers", file, line("Layers"), f"{name} uses more than 5 layers.")
    yield from _environment(file, name, properties, line("Environment"))
    if not (properties.get("AutoPublishAlias") and properties.get("DeploymentPreference")):
        yield RULES.at("rollback", file, document.line("Resources", name), f"{name} is deployed all at once.")
    for policy in sequence(properties.get("Policies")) or [properties.get("Policies")]:
        if isinstance(policy, str) and re.search(r"AdministratorAccess|PowerUserAccess", policy):
            yield RULES.at("admin-policy", file, line("Policies"), f"{name} has {policy[:60]}.")


def _environment(file: str, name: str, properties: dict[str, Any], line: int) -> Iterator[Finding]:
    variables = mapping(mapping(properties.get("Environment")).get("Variables"))
    if sum(len(key) + len(str(value)) for key, value in variables.items()) > 4096:
        yield RULES.at("env-size", file, line, f"The variables of {name} take more than 4 KB.")
    for key, value in variables.items():
        if looks_secret(key) and isinstance(value, str) and value and not value.startswith("{{resolve:"):
            yield RULES.at("secret", file, line, f"{name} has a literal value for {key[:60]}.")


_SUBJECT = "token.actions.githubusercontent.com:sub"


def _trust(document: Document, name: str, properties: dict[str, Any]) -> Iterator[Finding]:
    """A role that GitHub may take: only for one repository, and in it one environment or branch."""
    for statement in sequence(lookup(properties, "AssumeRolePolicyDocument", "Statement")):
        if "AssumeRoleWithWebIdentity" not in str(mapping(statement).get("Action")):
            continue
        conditions = mapping(mapping(statement).get("Condition"))
        subjects = [mapping(values).get(_SUBJECT) for values in conditions.values()]
        exact = [str(subject) for subject in subjects if subject]
        audience = any("token.actions.githubusercontent.com:aud" in mapping(values) for values in conditions.values())
        if not audience or not exact or any(re.search(r"repo:[^:]*\*|:\*", subject) for subject in exact):
            line = document.line("Resources", name)
            yield RULES.at("oidc-subject", document.file, line, f"The role {name} can be taken by others.")


def _cors(document: Document, name: str, properties: dict[str, Any]) -> Iterator[Finding]:
    for key in ("Cors", "CorsConfiguration"):
        cors = mapping(properties.get(key))
        origins = str(cors.get("AllowOrigin", cors.get("AllowOrigins", "")))
        if "*" in origins and cors.get("AllowCredentials") is True:
            line = document.line("Resources", name, "Properties", key)
            yield RULES.at("cors", document.file, line, f"{name} allows every origin with credentials.")


GATE = Gate("sam", RULES, select, check, (Linter("cfn-lint", cfn_lint.locate, cfn_lint.run, optional=True),))
