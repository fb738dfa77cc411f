"""The `terraform` gate: pins, state, secrets and exposure; syntax is judged by python-hcl2 and terraform."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.devops.checks.dockerfile import looks_secret
from tools.devops.checks.gate import Gate, Linter, Subject, each, readable
from tools.devops.checks.hcl import Block, parse_hcl
from tools.devops.checks.linters import hcl2, terraform_cli
from tools.devops.checks.rules import Rule, Rules
from tools.devops.checks.tree import folder_of
from tools.devops.types import Finding

_DOCS = "developer.hashicorp.com/terraform"
_AWS = "AWS Foundational Security Best Practices"

RULES = Rules(
    "terraform",
    {
        "version": Rule(
            "error",
            "Another release may plan other changes.",
            'Add `terraform { required_version = "~> 1.10" }`.',
            f"{_DOCS}/language/terraform#terraform-required_version",
        ),
        "provider-version": Rule(
            "error",
            "A new major version of the provider changes resources.",
            'Give the provider a version in `required_providers`, such as `"~> 6.0"`.',
            f"{_DOCS}/language/providers/requirements",
        ),
        "state": Rule(
            "error",
            "State on one machine is lost with it, holds secrets, and two people overwrite each other.",
            'Add a remote backend with locking, for example `backend "s3"` with `use_lockfile = true`.',
            f"{_DOCS}/language/backend",
        ),
        "state-lock": Rule(
            "error",
            "Two runs at a time corrupt the state.",
            "Set `use_lockfile = true` (since 1.10) or a dynamodb_table, and `encrypt = true`.",
            f"{_DOCS}/language/backend/s3",
        ),
        "secret-default": Rule(
            "error",
            "The default of a variable is in git and in the plan.",
            "Remove the default and set `sensitive = true`; hand the value over as TF_VAR_..., or read a secret store.",
            f"{_DOCS}/language/values/variables",
        ),
        "open-admin": Rule(
            "error",
            "Everyone on the internet can try to log in.",
            "Limit the range, or use a session manager instead of an open port.",
            _AWS,
        ),
        "public-database": Rule(
            "error", "The database can be reached from the internet.", "Set publicly_accessible = false.", _AWS
        ),
        "unencrypted": Rule("error", "Data at rest can be read from a copied disk.", "Turn encryption on.", _AWS),
        "deletion": Rule(
            "warning",
            "One wrong plan deletes the data.",
            "Set deletion_protection = true.",
            _AWS,
        ),
        "oidc-subject": Rule(
            "error",
            "Any repository on GitHub, or any branch and pull request of this one, could take the role.",
            "Compare `token.actions.githubusercontent.com:sub` with repo:OWNER/NAME:environment:NAME, and `:aud` too.",
            "docs.github.com/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws",
        ),
        "rollback": Rule(
            "warning",
            "Tasks that never become healthy are started again and again, and nothing goes back to the old ones.",
            "Add `deployment_circuit_breaker { enable = true, rollback = true }`.",
            "docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html",
        ),
        "instance-metadata": Rule(
            "error",
            "A request forged through the application reads the machine's credentials.",
            'Set `metadata_options { http_tokens = "required" }`.',
            f"{_AWS}, EC2.8",
        ),
        "plain-http": Rule(
            "warning",
            "Passwords and sessions cross the internet unencrypted.",
            "Redirect to the HTTPS listener.",
            f"{_AWS}, ELB.1",
        ),
        "admin-policy": Rule(
            "error",
            "Whoever holds the role controls the account.",
            "Name single actions on named resources.",
            f"{_AWS}, IAM.1",
        ),
        "static-keys": Rule(
            "error",
            "Long-lived keys in a provider block are in git and never expire.",
            "Remove them; use OIDC or the environment.",
            "docs.aws.amazon.com/IAM best practices",
        ),
    },
)

_ADMIN_PORTS = (22, 3389, 5432, 3306, 6379, 27017)
_ENCRYPTED = {
    "aws_db_instance": "storage_encrypted",
    "aws_rds_cluster": "storage_encrypted",
    "aws_ebs_volume": "encrypted",
    "aws_efs_file_system": "encrypted",
    "aws_elasticache_replication_group": "at_rest_encryption_enabled",
}


def select(subject: Subject) -> tuple[str, ...]:
    return tuple(path for path in subject.tree.files if path.endswith((".tf", ".tofu")))


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    yield from each(files, lambda path: _check_file(subject, path))
    folders: dict[str, list[tuple[str, Block]]] = {}
    for path, top in readable(files, lambda path: subject.parsed(path, parse_hcl)):
        folders.setdefault(folder_of(path), []).append((path, top))
    for parsed in folders.values():
        yield from _module(parsed)


def _module(parsed: list[tuple[str, Block]]) -> Iterator[Finding]:
    """Rules on a folder that is applied on its own: one with a provider block."""
    settings = [(path, block) for path, top in parsed for block in top.blocks if block.kind == "terraform"]
    providers = [(path, block) for path, top in parsed for block in top.blocks if block.kind == "provider"]
    if not providers:
        return
    file, line = providers[0][0], providers[0][1].line
    if not any(block.text("required_version") for _path, block in settings):
        yield RULES.at("version", file, line, "required_version is not set.")
    required = {
        name: (path, value, at)
        for path, block in settings
        for inner in block.all("required_providers")
        for name, (value, at) in inner.attributes.items()
    }
    for path, provider in providers:
        name = provider.labels[0] if provider.labels else ""
        if "version" not in required.get(name, ("", "", 0))[1]:
            yield RULES.at("provider-version", path, provider.line, f"Provider {name[:40]} has no version.")
    backends = [(path, inner) for path, block in settings for kind in ("backend", "cloud") for inner in block.all(kind)]
    if not backends or any(inner.labels == ("local",) for _path, inner in backends):
        yield RULES.at("state", file, line, "The state is kept on this machine.")
    for path, backend in backends:
        locked = backend.text("use_lockfile") == "true" or "dynamodb_table" in backend.attributes
        if backend.labels == ("s3",) and not (locked and backend.text("encrypt") == "true"):
            yield RULES.at("state-lock", path, backend.line, "The S3 backend has no lock, or no encryption.")


def _check_file(subject: Subject, path: str) -> Iterator[Finding]:
    for block in subject.parsed(path, parse_hcl).blocks:
        name = block.labels[0] if block.labels else ""
        if block.kind == "variable" and looks_secret(name) and block.text("default") not in ("", "null"):
            yield RULES.at("secret-default", path, block.line_of("default"), f"Variable {name[:60]} has a default.")
        if block.kind == "provider":
            for key in ("access_key", "secret_key", "token", "password", "client_secret"):
                if re.fullmatch(r'"[^"$]+"', block.attributes.get(key, ("", 0))[0]):
                    yield RULES.at(
                        "static-keys", path, block.line_of(key), f"Provider {name[:40]} has a literal {key}."
                    )
        if block.kind == "resource":
            yield from _resource(path, name, block)
            yield from _service(path, name, block)
        if block.kind == "data" and name == "aws_iam_policy_document":
            yield from _policy(path, block)


def _resource(path: str, kind: str, block: Block) -> Iterator[Finding]:
    title = f"{kind}.{block.labels[1]}"[:80] if len(block.labels) > 1 else kind[:80]
    rules = [*block.all("ingress"), *([block] if "ingress" in kind or block.text("type") == "ingress" else [])]
    for rule in rules:
        text = " ".join(value for value, _line in rule.attributes.values())
        if ("0.0.0.0/0" in text or "::/0" in text) and any(_opens(rule, port) for port in _ADMIN_PORTS):
            yield RULES.at("open-admin", path, rule.line, f"{title} opens an administration or database port to all.")
    for rule in block.all("inbound_rule"):  # DigitalOcean's firewall
        everyone = "0.0.0.0/0" in rule.text("source_addresses") or "::/0" in rule.text("source_addresses")
        first, _, last = rule.text("port_range").partition("-")
        inside = first.isdigit() and any(int(first) <= port <= int(last or first) for port in _ADMIN_PORTS)
        if everyone and inside:
            yield RULES.at("open-admin", path, rule.line, f"{title} opens an administration or database port to all.")
    if block.text("publicly_accessible") == "true":
        yield RULES.at("public-database", path, block.line_of("publicly_accessible"), f"{title} is public.")
    flag = _ENCRYPTED.get(kind)
    if flag and block.text(flag) != "true" and "$" not in block.text(flag) and "var." not in block.text(flag):
        yield RULES.at("unencrypted", path, block.line_of(flag), f"{title} does not set {flag} = true.")
    if kind in ("aws_db_instance", "aws_rds_cluster") and block.text("deletion_protection") in ("", "false"):
        yield RULES.at("deletion", path, block.line, f"{title} can be deleted by a plan.")


def _service(path: str, kind: str, block: Block) -> Iterator[Finding]:
    """What goes wrong when a service, a machine or a listener is left at its defaults."""
    title = f"{kind}.{block.labels[1]}"[:80] if len(block.labels) > 1 else kind[:80]
    if kind == "aws_ecs_service" and not any(
        inner.text("rollback") == "true" for inner in block.all("deployment_circuit_breaker")
    ):
        yield RULES.at("rollback", path, block.line, f"{title} does not go back by itself.")
    if kind in ("aws_instance", "aws_launch_template") and not any(
        inner.text("http_tokens") == "required" for inner in block.all("metadata_options")
    ):
        yield RULES.at("instance-metadata", path, block.line, f"{title} answers metadata requests without a token.")
    redirects = any(inner.text("type") == "redirect" for inner in block.all("default_action"))
    if kind == "aws_lb_listener" and block.text("protocol") == "HTTP" and not redirects:
        yield RULES.at("plain-http", path, block.line, f"{title} answers without TLS.")


def _policy(path: str, block: Block) -> Iterator[Finding]:
    for statement in block.all("statement"):
        actions = statement.text("actions")
        if re.search(r'"\*"', f'"{actions}"') and re.search(r'"\*"', f'"{statement.text("resources")}"'):
            yield RULES.at("admin-policy", path, statement.line, "A statement allows every action on everything.")
        if "AssumeRoleWithWebIdentity" in actions:
            tests = {inner.text("variable"): inner.text("values") for inner in statement.all("condition")}
            subject = tests.get(f"{_GITHUB}:sub", "")
            if f"{_GITHUB}:aud" not in tests or not subject or re.search(r"repo:[^:]*\*|:\*", subject):
                yield RULES.at("oidc-subject", path, statement.line, "The role can be taken by others.")


_GITHUB = "token.actions.githubusercontent.com"


def _opens(rule: Block, port: int) -> bool:
    first, last = rule.text("from_port"), rule.text("to_port")
    if rule.text("protocol") == "-1" or rule.text("ip_protocol") == "-1":
        return True
    return first.isdigit() and last.isdigit() and int(first) <= port <= int(last)


GATE = Gate(
    "terraform",
    RULES,
    select,
    check,
    (
        Linter("python-hcl2", hcl2.locate, hcl2.run),
        Linter("terraform", terraform_cli.locate, terraform_cli.run, optional=True),
    ),
)
