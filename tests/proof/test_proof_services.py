"""The servers that other proofs rest on: really there, really gone, and back with what they held."""

from __future__ import annotations

import pytest

from tests.proof.services import PostgreSQL, Redis, is_listening


@pytest.mark.needs("initdb")
def test_a_database_is_stopped_at_once_and_comes_back_with_its_rows() -> None:
    with PostgreSQL() as database:
        database.query("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        database.stop()
        assert not is_listening(database.port)
        database.start()
        assert database.query("SELECT n FROM kept").strip() == "7"


@pytest.mark.needs("redis-server")
def test_a_cache_answers_until_it_is_stopped() -> None:
    with Redis() as cache:
        assert cache.command("SET a 1") == "+OK"
        cache.stop()
        assert cache.command("PING") == ""
    assert not cache.directory.exists()
