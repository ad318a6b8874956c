"""Heron Freight, a carrier that does not exist, with several APIs, logins and a flag for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from carriers import types
from carriers.adapters.apis import Api, Basic, Bearer, Form, HeaderKey, Json, QueryKey
from carriers.adapters.base import CarrierAdapter, Rate, schema, text_field
from carriers.adapters.records import Record
from carriers.tests.replay import Replay, Tokens

FIELDS = {"user": "heron-user", "secret": "heron-secret", "number": "77", "key": "heron-key"}


class HeronAdapter(CarrierAdapter):
    slug = "heron"
    name = "Heron Freight"
    apis = {
        "main": Api(
            sandbox="https://api.heron.example/v1/test",
            production="https://api.heron.example/v1",
            auth=(Bearer(),),
            headers={"Trace": "{id32}", "Message": "{id36}", "Client": "waybill"},
            file_hosts=("*.files.heron.example",),
        ),
        # One host for both environments.
        "booking": Api(
            sandbox="https://book.heron.example",
            production="https://book.heron.example",
            auth=(Bearer("booking", scheme="Token"), HeaderKey("X-Number", "number")),
        ),
        "tracking": Api(sandbox="", production="https://track.heron.example", auth=(QueryKey("apikey", "key"),)),
    }
    api_of = {"create_label": "booking", "cancel": "booking", "track": "tracking"}
    test_flag = True
    credential_schema = schema(
        required=("user", "secret", "number"),
        user=text_field("User"),
        secret=text_field("Secret", secret=True),
        number=text_field("Customer number"),
        key=text_field("Tracking key", secret=True),
    )
    inherited_fields = ("user", "secret")
    rates = {"*": Rate(250, "day")}

    @classmethod
    def is_test(cls, operation, body):
        if operation == "cancel":
            return None
        return isinstance(body, Json) and body.value.get("test") is True

    def fetch_token(self, kind="main"):
        body = Form({"grant_type": "client_credentials", "scope": kind})
        answer = self._login("/token", body, auth=(Basic("user", "secret"),))
        token = Record(answer)
        expires_at = datetime.now(UTC) + timedelta(seconds=token.integer("expires_in"))
        return types.Token(value=token.token("access_token"), expires_at=expires_at)

    def quote(self, order):
        return self._request("quote", "GET", "/quote", params={"q": "a b"})

    def create_label(self, order):
        return self._request("create_label", "POST", "/labels", body=Json(order))

    def cancel(self, ref, reason, parcels=()):
        return self._request("cancel", "DELETE", f"/labels/{ref}", expect="empty")

    def track(self, refs):
        return self._request("track", "GET", "/events", expect="xml")

    def proof_of_delivery(self, ref):
        return self._request("proof_of_delivery", "GET", "/proof", headers={"Accept-Language": "nb"}, expect="bytes")


def open_heron(*answers, environment="sandbox", without=(), tokens=None, **fields):
    """Return the adapter on a replaying transport."""
    urls = {name: getattr(api, environment) or "http://127.0.0.1:8010/heron" for name, api in HeronAdapter.apis.items()}
    known = {name: value for name, value in (FIELDS | fields).items() if name not in without}
    return HeronAdapter(
        fields=known, environment=environment, urls=urls, http=Replay(*answers), tokens=tokens or Tokens()
    )
