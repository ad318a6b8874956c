"""Fixtures of the generator's tests."""

import pytest

from tracking.tests.documented import PATH, QUERY


@pytest.fixture
def get_number(client):
    """Return a function that sends the documented query with changed parameters. None removes one."""

    def send(correlation_id=None, **changes):
        query = {name: value for name, value in (QUERY | changes).items() if value is not None}
        return client.get(PATH, query, headers={"X-Correlation-ID": correlation_id} if correlation_id else None)

    return send
