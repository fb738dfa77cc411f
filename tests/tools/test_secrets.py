"""One table of token shapes: what a check finds in a file is what the redactor takes out of a text."""

from __future__ import annotations

import pytest

from tools.devops.checks.secret_patterns import find_secrets
from tools.secrets import MASK, TOKEN_SHAPES, Redactor

# Made of parts, so that no scanner takes this file for a leak.
MIXED = "aB3dE5gH7jK9mN1pQ2sT4vW6xY8zA0cD2fG4hJ6k"
TOKENS = {
    "AWS access key id": "AKIA" + "B3D5G7J2M4P6R3T5",
    "GitHub token": "ghp" + "_" + MIXED,
    "GitLab token": "glpat" + "-" + MIXED[:24],
    "Stripe key": "sk" + "_test_" + MIXED[:24],
    "Anthropic key": "sk" + "-ant-" + MIXED,
    "OpenAI key": "sk" + "-proj-" + MIXED,
    "Slack token": "xoxb" + "-" + MIXED[:20],
    "Google API key": "AIza" + MIXED[:35],
    "SendGrid key": "SG" + "." + MIXED[:20] + "." + MIXED,
    "npm token": "npm" + "_" + MIXED[:36],
    "PyPI token": "pypi" + "-" + MIXED + MIXED,
    "Docker token": "dckr" + "_pat_" + MIXED[:24],
    "Hugging Face token": "hf" + "_" + MIXED,
    "DigitalOcean token": "dop" + "_v1_" + "0123456789abcdef" * 4,
    "private key": "-----BEGIN RSA PRIVATE" + " KEY-----\nMIIE\n-----END RSA PRIVATE" + " KEY-----",
    "JSON web token": "eyJ" + MIXED[:14] + ".eyJ" + MIXED[:14] + "." + MIXED[:14],
}


def test_every_shape_has_its_case() -> None:
    assert set(TOKENS) == set(TOKEN_SHAPES)


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_is_found_in_files_and_taken_out_of_texts(kind: str) -> None:
    text = f"first line\nuse {TOKENS[kind]} here\n"
    assert (kind, 2) in [(secret.what, secret.line) for secret in find_secrets(text)]
    assert Redactor().text(text) == f"first line\nuse {MASK} here\n"


def test_hashes_identifiers_and_bare_prefixes_stay() -> None:
    for text in (
        "sha256:" + "0123456789abcdef" * 4,
        "123e4567-e89b-12d3-a456-426614174000",
        "sk-ant-",
        "ghp_",
        "AKIA",
        "hf_x",
    ):
        assert Redactor().text(text) == text
