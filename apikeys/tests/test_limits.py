"""A key's limit is exact, also when many requests come at once, on local memory and on Redis."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import RequestFactory

from apikeys import limits
from apikeys.models import ApiKey

pytestmark = pytest.mark.django_db(transaction=True)
REDIS = os.environ.get("REDIS_URL_TEST", "")


@pytest.fixture(
    params=["memory", pytest.param("redis", marks=pytest.mark.skipif(not REDIS, reason="no REDIS_URL_TEST"))]
)
def store(request, settings):
    """Where the counts are kept."""
    if request.param == "redis":
        # A prefix of its own: other workers' tests count on the same server.
        redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS}
        settings.CACHES = {"default": redis | {"KEY_PREFIX": uuid.uuid4().hex}}


class Request:
    """What counting reads of a DRF request."""

    _request = RequestFactory().get("/")


def test_of_four_hundred_at_once_exactly_a_hundred_pass(store, api_key, merchant):
    merchant.plan = "free"
    merchant.save()
    key = ApiKey.objects.select_related("merchant").get()
    with ThreadPoolExecutor(16) as pool:
        usages = list(pool.map(lambda _: limits.count(Request(), key), range(400)))
    assert sum(not usage.exceeded for usage in usages) == 100


def test_the_strictest_limit_is_told(store, api_key, merchant):
    merchant.plan = "starter"
    merchant.save()
    key = ApiKey.objects.select_related("merchant").get()
    usage = limits.count(Request(), key)
    assert (usage.limit, usage.remaining) == (300, 299)


def test_limits_can_be_switched_off(api_key, settings):
    settings.RATE_LIMITS_ENABLED = False
    assert limits.count(Request(), ApiKey.objects.get()) is None
