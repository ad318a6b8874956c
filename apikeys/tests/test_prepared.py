"""Hot statements are prepared by PostgreSQL, unless the setting for connection poolers is off."""

import uuid

import psycopg
import pytest
from django.db import NotSupportedError, connection, transaction

from apikeys.db.prepared import Select
from apikeys.models import Merchant

pytestmark = pytest.mark.django_db


def prepared_texts():
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [text for (text,) in cursor.fetchall()]


@pytest.mark.parametrize("threshold", [1, None])
def test_repeated_select_is_prepared_by_setting(merchant, on_sqlite, monkeypatch, threshold):
    select = Select(lambda merchant_id: Merchant.objects.filter(id=merchant_id), ["slug", "name"], [uuid.UUID(int=1)])
    if not on_sqlite:
        connection.ensure_connection()
        monkeypatch.setattr(connection.connection, "prepare_threshold", threshold)
        connection.connection.execute("DEALLOCATE ALL")
    for _ in range(3):
        assert select.first(merchant.id) == ("acme", "Acme")
    assert select.first(uuid.uuid4()) is None
    if not on_sqlite:
        texts = [text for text in prepared_texts() if "apikeys_merchant" in text and "$1" in text]
        assert len(texts) == (0 if threshold is None else 1)


def test_select_passes_parameters_in_order(merchant):
    select = Select(
        lambda slug, name: Merchant.objects.filter(slug=slug, name=name), ["name", "slug"], ["a slug", "a name"]
    )
    assert select.all("acme", "Acme") == [("Acme", "acme")]
    assert select.all("Acme", "acme") == []


@pytest.mark.django_db(transaction=True)
def test_select_is_prepared_again_after_its_columns_changed(merchant, on_sqlite):
    select = Select(lambda slug: Merchant.objects.filter(slug=slug), ["name"], ["a slug"])
    for _ in range(3):
        assert select.all("acme") == [("Acme",)]
    if on_sqlite:
        return
    alter = "ALTER TABLE apikeys_merchant ALTER COLUMN name TYPE varchar({})"
    length = Merchant._meta.get_field("name").max_length
    # As ``migrate`` does it: by another connection, since psycopg forgets statements after an ALTER of its own.
    with psycopg.connect(**_connection_parameters(), autocommit=True) as other:
        try:
            other.execute(alter.format(length + 1))
            for _ in range(3):
                assert select.all("acme") == [("Acme",)]
            with pytest.raises(NotSupportedError), transaction.atomic():
                other.execute(alter.format(length + 2))
                select.all("acme")
            assert select.all("acme") == [("Acme",)]
        finally:
            other.execute(alter.format(length))


def _connection_parameters():
    parameters = connection.get_connection_params()
    return {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if parameters.get(name)}
