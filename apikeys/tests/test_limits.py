"""Rate limits: exact counts under concurrency, identities, the address of a request, and failures of the store."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django_ratelimit.core import get_usage

from apikeys.access import limits
from apikeys.access.limits import RequestFacts
from apikeys.db import counters, redis_client
from apikeys.db.tenancy import Caller, Tenant
from apikeys.http import actors
from apikeys.http.errors import RateLimited, Unavailable
from apikeys.keys.format import generate_key
from apikeys.keys.lifecycle import store_key
from apikeys.keys.verification import caller_for_key, verify_key
from apikeys.models import ApiKey, Event, Membership, Merchant, Plan, Store, User
from apikeys.people import access_tokens

# With the clock stopped, no window ends during a test.
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

REDIS = os.environ.get("REDIS_URL_TEST", "")


@pytest.fixture(
    params=[
        "memory",
        pytest.param("redis", marks=pytest.mark.skipif(not REDIS, reason="no Redis; make test starts one")),
    ]
)
def store(request, settings):
    """The counter store: memory, or Redis if there is one."""
    if request.param == "redis":
        settings.REDIS_URL = REDIS
        # Other test processes count on the same server.
        settings.COUNTERS_PREFIX = f"{uuid.uuid4().hex}:"


@pytest.fixture
def caller(api_key):
    def current_caller():
        return caller_for_key(verify_key(api_key))

    return current_caller


@pytest.fixture
def plan(merchant):
    def choose(code):
        Merchant.objects.filter(id=merchant.id).update(plan=code)

    return choose


def facts(caller, address="192.0.2.1"):
    return RequestFacts(address, caller)


@pytest.mark.django_db(transaction=True)
def test_exactly_100_of_400_concurrent_requests_pass(store, caller, plan):
    plan("free")
    known = caller()
    with ThreadPoolExecutor(16) as pool:
        usages = list(pool.map(lambda _: limits.count(facts(known), limits.OF_CALLERS), range(400)))
    assert sum(not usage.exceeded for usage in usages) == 100


def test_limit_nearest_to_its_end_is_returned(store, caller, plan, merchant):
    plan("starter")
    usage = limits.count(facts(caller()), limits.OF_CALLERS)
    assert (usage.policy, usage.limit, usage.remaining) == ("api_key", 300, 299)
    Merchant.objects.filter(id=merchant.id).update(per_minute=7)
    usage = limits.count(facts(caller()), limits.OF_CALLERS)
    assert (usage.policy, usage.limit, usage.remaining) == ("merchant", 7, 6)


def test_rate_of_the_key_replaces_that_of_the_plan(store, caller):
    ApiKey.objects.update(per_minute=3)
    assert limits.count(facts(caller()), limits.OF_CALLERS).limit == 3


def test_keys_of_a_store_share_its_limit(store, merchant):
    shop = Store.objects.create(merchant=merchant, name="Shop", code="shop", per_minute=3)
    keys = [generate_key("test") for _ in range(2)]
    for key in keys:
        store_key(Tenant(merchant.id, "test", shop.id), key, name="shop")
    callers = [caller_for_key(verify_key(key)) for key in keys]
    seen = [limits.count(facts(callers[number % 2]), limits.OF_CALLERS).exceeded for number in range(4)]
    assert seen == [False, False, False, True]


def test_changed_plan_applies_immediately(store, caller, plan):
    plan("free")
    Plan.objects.filter(code="free").update(per_minute=2)
    seen = [limits.count(facts(caller()), limits.OF_CALLERS).exceeded for _ in range(3)]
    assert seen == [False, False, True]


def test_settings_are_the_rates_of_keys_and_plans_without_rates(store, caller, plan, settings):
    assert (settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_PER_HOUR) == (100, 1000)
    plan("free")
    assert caller().key_rates == (100, 1000)
    settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_PER_HOUR = 2, 3
    seen = [limits.count(facts(caller()), limits.OF_CALLERS).exceeded for _ in range(3)]
    assert seen == [False, False, True]
    Plan.objects.filter(code="free").update(per_minute=7)
    assert caller().key_rates == (7, 3)
    ApiKey.objects.update(per_hour=5)
    assert caller().key_rates == (7, 5)
    plan("starter")
    assert caller().key_rates == (300, 5)


def test_hourly_limit_applies_below_the_limit_per_minute(store, caller, plan, settings):
    plan("free")
    settings.RATE_LIMIT_PER_HOUR = 3
    usages = [limits.count(facts(caller()), limits.OF_CALLERS) for _ in range(4)]
    assert [(usage.limit, usage.remaining, usage.exceeded) for usage in usages][2:] == [(3, 0, False), (3, 0, True)]


def test_key_response_has_the_effective_rates(api, plan, settings):
    plan("free")
    settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_PER_HOUR = 40, 400
    created = api.post("/api/v1/api-keys", {"name": "shop"})
    assert created.status_code == 201
    assert (created.json()["per_minute"], created.json()["per_hour"]) == (40, 400)
    above = api.post("/api/v1/api-keys", {"name": "shop", "per_minute": 41})
    assert (above.status_code, set(above.json()["details"])) == (400, {"per_minute"})
    assert api.get("/api/v1/shipments")["X-RateLimit-Limit"] == "40"


def test_person_can_have_a_rate_of_its_own(client, merchant, settings):
    settings.USER_RATES = ["60/m"]
    person = User.objects.create_user("slow@example.com", "slow@example.com", "x", per_minute=2)
    membership = Membership.objects.create(merchant=merchant, user=person, role="owner")
    token = access_tokens.issue_tokens(person, membership, "test").access
    headers = {"Authorization": f"Bearer {token}"}
    answers = [client.get("/api/v1/events", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (answers[0]["X-RateLimit-Limit"], answers[2].json()["details"]) == ("2", {"limit": ["user"]})
    User.objects.update(per_minute=None)  # the next request has the installation's rate
    assert client.get("/api/v1/events", headers=headers)["X-RateLimit-Limit"] == "60"


def test_each_person_has_a_limit(store, tenant):
    one, other = (Caller(tenant, f"person:{uuid.uuid4()}", frozenset()) for _ in range(2))
    usages = [limits.count(facts(one), limits.OF_CALLERS) for _ in range(61)]
    assert (usages[0].policy, usages[59].exceeded, usages[60].exceeded) == ("user", False, True)
    assert not limits.count(facts(other), limits.OF_CALLERS).exceeded


def test_sensitive_requests_have_a_lower_limit(store, caller, settings):
    settings.SENSITIVE_RATES = ["5/m", "10/15m"]
    known = caller()
    usages = [limits.count(facts(known), (*limits.OF_CALLERS, "sensitive")) for _ in range(6)]
    assert [usage.policy for usage in usages] == ["sensitive"] * 6
    with pytest.raises(RateLimited) as refusal:
        limits.refuse_if_exceeded(usages[5])
    assert refusal.value.details == {"limit": ["sensitive"]}
    assert 1 <= refusal.value.retry_after_s <= 60


def test_request_passes_after_retry_after(store, caller, time_machine):
    ApiKey.objects.update(per_minute=1)
    known, moment = caller(), datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    for _ in range(130):
        moment += 600.47  # covers all parts of a minute and of a second
        time_machine.move_to(moment, tick=False)
        limits.count(facts(known), limits.OF_CALLERS)
        with pytest.raises(RateLimited) as refusal:
            limits.refuse_if_exceeded(limits.count(facts(known), limits.OF_CALLERS))
        time_machine.move_to(moment + refusal.value.retry_after_s, tick=False)
        assert not limits.count(facts(known), limits.OF_CALLERS).exceeded


def test_addresses_of_one_ipv6_network_share_a_limit(store, settings):
    settings.PUBLIC_RATES = ["1/m"]
    assert not limits.count(facts(None, "2001:db8::1"), ("public",)).exceeded
    assert limits.count(facts(None, "2001:db8::2"), ("public",)).exceeded
    assert not limits.count(facts(None, "2001:db8:0:1::1"), ("public",)).exceeded


def test_all_limits_of_a_request_cost_one_round_trip(caller, settings, monkeypatch):
    if not REDIS:
        pytest.skip("no Redis; make test starts one")
    settings.REDIS_URL, settings.COUNTERS_PREFIX = REDIS, f"{uuid.uuid4().hex}:"
    known = caller()
    limits.count(facts(known), limits.OF_CALLERS)
    sent = []
    client = redis_client.client(REDIS)
    plain = client.execute_command
    monkeypatch.setattr(client, "execute_command", lambda *args, **kwargs: sent.append(args) or plain(*args, **kwargs))
    limits.count(facts(known), (*limits.OF_CALLERS, "sensitive"))
    assert [command[0] for command in sent] == ["EVALSHA"]


def test_requests_without_a_caller_are_counted_exactly_in_one_round_trip(store, settings, monkeypatch):
    settings.PUBLIC_RATES = ["400/m"]
    with ThreadPoolExecutor(16) as pool:
        usages = list(pool.map(lambda _: limits.count(facts(None), ("public",)), range(400)))
    assert sorted(usage.count for usage in usages) == list(range(1, 401))
    assert not any(usage.exceeded for usage in usages)
    sent = []
    count = counters.count
    monkeypatch.setattr(counters, "count", lambda windows: sent.append(windows) or count(windows))
    assert limits.count(facts(None), ("public",)).exceeded
    assert len(sent) == 1


def test_windows_end_when_those_of_django_ratelimit_do(settings, time_machine):
    """Then the headers of a public request and of a caller's mean the same."""
    for rate, period in (("9/m", 60), ("9/15m", 900), ("9/h", 3600), ("9/s", 1)):
        settings.PUBLIC_RATES = [rate]
        for second in range(0, 4000, 31):
            time_machine.move_to(second + 0.3, tick=False)
            usage = limits.count(facts(None), ("public",))
            assert usage.reset_at.timestamp() == limits.window_end("192.0.2.1/32", period)
            assert second < usage.reset_at.timestamp() <= second + period


@pytest.mark.parametrize(
    ("rate", "limit", "period"),
    [("7/m", 7, 60), ("7/min", 7, 60), ("7/2h", 7, 7200), ("7/hour", 7, 3600), ("7/", 7, 1), ("7/15m ", 7, 900)],
)
def test_rates_of_callers_and_addresses_are_read_alike(rate, limit, period):
    assert limits.parse_rate(rate) == (limit, period)
    used = get_usage(None, group="rates", key=lambda *_: "one", rate=rate, increment=True)
    assert used["limit"] == limit
    assert used["time_left"] <= period


def test_exceeded_limit_is_recorded_once_per_window_and_key(store, caller, plan):
    plan("free")
    known = caller()
    for _ in range(150):
        limits.count(facts(known), limits.OF_CALLERS)
    (event,) = Event.objects.filter(type="rate_limit.exceeded")
    assert event.data["limit"] == "api_key"
    assert event.merchant_id == known.tenant.merchant_id


def test_only_sensitive_requests_are_refused_while_the_store_is_down(caller, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    known = caller()
    assert limits.count(facts(known), limits.OF_CALLERS) is None
    with pytest.raises(Unavailable):
        limits.count(facts(known), (*limits.OF_CALLERS, "sensitive"))
    with pytest.raises(Unavailable):
        limits.count(RequestFacts("192.0.2.1", account="shop@example.com"), ("account",))


def test_api_answers_while_the_store_is_down(client, api_key, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    headers = {"X-API-Key": api_key}
    assert client.get("/api/v1/shipments", headers=headers).status_code == 200
    assert client.get("/api/v1/shipments", headers={"X-API-Key": "unknown"}).status_code == 401
    for path, body in (("api-keys", {"name": "shop"}), ("auth/token", {"email": "a@example.com", "password": "x"})):
        refused = client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)
        assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
        assert refused["Retry-After"] == "5"
    assert ApiKey.objects.count() == 1


def test_limits_can_be_disabled(caller, settings):
    settings.RATE_LIMITS_ENABLED = False
    assert limits.count(facts(caller()), limits.OF_CALLERS) is None


# The address of a request


def test_only_trusted_proxies_set_the_address(rf, settings):
    for peer, forwarded, settings.TRUSTED_PROXIES, address in (
        ("192.0.2.1", "", [], "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", [], "192.0.2.1"),
        ("10.0.0.1", "203.0.113.9", ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", "nonsense, 10.0.0.2", ["10.0.0.0/8"], "10.0.0.2"),
        ("10.0.0.1", "nonsense", ["10.0.0.0/8"], "10.0.0.1"),
        ("::ffff:192.0.2.1", "", [], "192.0.2.1"),
        ("2001:db8::1", "203.0.113.9", ["2001:db8::/32"], "203.0.113.9"),
        ("", "203.0.113.9", [], "0.0.0.0"),
    ):
        request = rf.get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
        assert actors.client_address(request) == address, (peer, forwarded)


def test_forged_forwarded_for_is_ignored(client, settings):
    settings.PUBLIC_RATES = ["3/m"]
    statuses = [
        client.get("/next-tracking-number", headers={"X-Forwarded-For": f"203.0.113.{number}"}).status_code
        for number in range(5)
    ]
    assert statuses == [400, 400, 400, 429, 429]


def test_sign_in_is_limited_by_address_and_by_account(client, settings, merchant):
    settings.SENSITIVE_RATES, settings.ACCOUNT_RATES = ["2/m"], ["3/h"]
    user = User.objects.create_user("shop", "shop@example.com", "a good passphrase")
    Membership.objects.create(merchant=merchant, user=user, role="owner")

    def sign_in(address):
        body = {"email": "Shop@Example.com", "password": "wrong wrong"}
        return client.post("/api/v1/auth/token", body, content_type="application/json", REMOTE_ADDR=address)

    assert [sign_in("192.0.2.1").status_code for _ in range(3)] == [401, 401, 429]
    assert [sign_in(f"192.0.2.{number}").status_code for number in (2, 3)] == [401, 429]
