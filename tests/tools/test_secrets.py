"""One table of token shapes: what a check finds in a file is what the redactor takes out of a text."""

from __future__ import annotations

import base64
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@given(st.sampled_from(sorted(TOKEN_SHAPES)).flatmap(lambda kind: st.from_regex(re.compile(TOKEN_SHAPES[kind], re.A))))
def test_whatever_has_the_shape_of_a_token_is_taken_out(text: str) -> None:
    """Also by the quick look for signs that spares the shapes on most texts."""
    shapes = re.compile("|".join(TOKEN_SHAPES.values()))
    assert shapes.search(Redactor().text(text)) is None


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


_VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=9, max_size=40)


@given(_VALUES, st.binary(max_size=5), st.binary(max_size=5))
def test_a_value_is_found_in_base64_wherever_it_stands(value: str, before: bytes, after: bytes) -> None:
    redactor = Redactor([value])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = redactor.text(encode(before + value.encode() + after).decode())
        assert MASK in shown
        assert len(shown) <= len(MASK) + (len(before) + len(after) + 4) * 4 // 3 + 4  # what is left is not its own


@given(_VALUES)
def test_a_value_is_found_percent_encoded(value: str) -> None:
    encoded = quote(value, safe="")
    lower = re.sub("%..", lambda code: code[0].lower(), encoded)
    assert Redactor([value]).text(f"https://a.test/?a={encoded}&b={lower}&c") == f"https://a.test/?a={MASK}&b={MASK}&c"


def test_text_beside_an_encoded_value_stays() -> None:
    text = "Y29ycmVjdA== and correct%20horse"
    assert Redactor(["correct horse battery"]).text(text) == text
