"""What of a project's settings is used, by how far the project is believed.

Deny and ask rules, and whatever else only tightens, always count. For an untrusted project everything not known to be
harmless is left out. Endpoints, credentials, proxies, certificates and looser confinement never come from a project.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HARMLESS = frozenset(
    {"$schema", "language", "outputStyle", "includeGitInstructions", "disabledMcpjsonServers", "deniedMcpServers"}
)
_NEVER = frozenset(
    {
        *("apiKeyHelper", "awsAuthRefresh", "awsCredentialExport", "gcpAuthRefresh", "otelHeadersHelper"),
        *("skipDangerousModePermissionPrompt", "skipAutoPermissionPrompt", "autoMode", "allowedHttpHookUrls"),
        "deploySecrets",
    }
)
MANAGED_ONLY = frozenset(
    {
        *("allowManagedHooksOnly", "allowManagedPermissionRulesOnly", "allowManagedMcpServersOnly"),
        *("strictPluginOnlyCustomization", "requiredMinimumVersion", "strictKnownMarketplaces"),
    }
)

# Names of variables that decide where requests go, with which credentials, and through whom.
_NEVER_ENV = re.compile(
    r"ANTHROPIC_(?!(MODEL|SMALL_FAST_MODEL|DEFAULT_\w+_MODEL)$)\w*|CLAUDE_CONFIG_DIR|CLAUDE_CODE_(USE|SKIP|API|OAUTH)_?\w*"
    r"|EXPERT_DEVOPS_\w*|AWS_\w+|GOOGLE_\w+|AZURE_\w+|CLOUD_ML_\w+|VERTEX_\w+|(GITHUB|GH)_\w+|CONTEXT7_\w+|OTEL_EXPORTER_\w+"
    r"|\w*_PROXY|SSL_CERT_\w+|SSLKEYLOGFILE|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NODE_EXTRA_CA_CERTS"
    r"|NODE_TLS_REJECT_UNAUTHORIZED|GIT_SSL_\w+|IS_SANDBOX|LD_\w+|DYLD_\w+|HOME",
    re.IGNORECASE,
)

_TIGHTENING_PERMISSIONS = frozenset({"deny", "ask", "disableBypassPermissionsMode", "disableAutoMode"})
_TIGHTENING_IF_TRUE = frozenset(
    {"blockReadsOutsideWorkingDirectories", "blockWritesOutsideWorkingDirectories", "denyInsteadOfPrompting"}
)
_UNCONFINED_MODES = ("auto", "bypassPermissions")
_TIGHTENING_SANDBOX: Mapping[str, Any] = {
    "enabled": True,
    "failIfUnavailable": True,
    "allowUnsandboxedCommands": False,
    "network": frozenset({"deniedDomains"}),
    "filesystem": frozenset({"denyWrite", "denyRead"}),
    "credentials": frozenset({"files", "envVars"}),
}
"""Values that tighten: an exact value, or the keys of an object."""


def restrict(
    values: Mapping[str, Any], *, believed: bool, trusted: bool
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The part of a project file's `values` that counts, and `(key path, reason)` for what does not.

    `believed`: trusted or vouched for. Reasons are keys of `remarks.yaml`.
    """
    kept: dict[str, Any] = {}
    dropped: list[tuple[str, str]] = []
    for key, value in values.items():
        if key == "permissions" and isinstance(value, Mapping):
            kept[key] = _permissions(value, believed, trusted, dropped)
        elif key == "sandbox" and isinstance(value, Mapping):
            kept[key] = _sandbox(value, dropped)
        elif key in _NEVER:
            dropped.append((key, "never"))
        elif not believed and key not in _HARMLESS:
            dropped.append((key, "untrusted"))
        elif key == "env" and isinstance(value, Mapping):
            kept[key] = _environment(value, dropped)
        else:
            kept[key] = value
    return kept, dropped


def _permissions(
    value: Mapping[str, Any], believed: bool, trusted: bool, dropped: list[tuple[str, str]]
) -> dict[str, Any]:
    kept = {}
    for key, item in value.items():
        tightens = key in _TIGHTENING_PERMISSIONS or (key in _TIGHTENING_IF_TRUE and item is True)
        vouched_mode = key == "defaultMode" and believed and item not in _UNCONFINED_MODES
        if tightens or vouched_mode or trusted:
            kept[key] = item
        else:
            dropped.append((f"permissions.{key}", "untrusted"))
    return kept


def _sandbox(value: Mapping[str, Any], dropped: list[tuple[str, str]]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, item in value.items():
        wanted = _TIGHTENING_SANDBOX.get(key)
        if isinstance(wanted, frozenset) and isinstance(item, Mapping):
            kept[key] = {name: inner for name, inner in item.items() if name in wanted}
            dropped += [(f"sandbox.{key}.{name}", "never") for name in item if name not in wanted]
        elif isinstance(wanted, bool) and item is wanted:
            kept[key] = item
        else:
            dropped.append((f"sandbox.{key}", "never"))
    return kept


def _environment(value: Mapping[str, Any], dropped: list[tuple[str, str]]) -> dict[str, Any]:
    refused = [name for name in value if _NEVER_ENV.fullmatch(name)]
    dropped += [(f"env.{name}", "never") for name in refused]
    return {name: item for name, item in value.items() if name not in refused}
