"""The contract of every carrier's adapter. The tests of a carrier subclass ``CarrierContract``."""

from __future__ import annotations

import itertools

import pytest
import requests
from jsonschema import Draft202012Validator

from carriers.adapters.operations import CHECK, OPERATIONS, Effect, is_read
from carriers.adapters.registry import ADAPTERS, adapter_class
from carriers.http import environments
from carriers.http.environments import base_urls
from carriers.models import Credential
from carriers.tests.contract_base import ARGUMENTS, KEYWORDS
from carriers.tests.contract_responses import ResponseContract
from carriers.tests.damage import (
    STRANGE_REFUSALS,
)
from carriers.tests.replay import FailingNetwork, Tokens, answer
from carriers.types.errors import (
    CarrierAuthentication,
    CarrierError,
    CarrierRateLimited,
    CarrierRejected,
    CarrierTimeout,
    CarrierUnavailable,
    CarrierUnsupported,
    OutcomeUnknown,
)


class CarrierContract(ResponseContract):
    """Set the class variables of ``ContractBase`` and inherit the tests."""

    # Registration

    def test_adapter_is_registered_and_found_by_any_spelling(self):
        assert ADAPTERS[self.adapter.slug] is self.adapter
        for name in (self.adapter.slug, self.adapter.name, self.adapter.name.upper(), f" {self.adapter.name} "):
            assert adapter_class(name) is self.adapter

    def test_adapter_has_both_environments_and_a_schema_of_its_credential(self):
        assert "main" in self.adapter.apis
        assert set(self.adapter.api_of) <= set(OPERATIONS)
        assert set(self.adapter.api_of.values()) <= set(self.adapter.apis)
        for api in self.adapter.apis.values():
            assert api.production.startswith("https://")
            assert api.sandbox == "" or api.sandbox.startswith("https://")
        known = set(self.adapter.credential_fields())
        Draft202012Validator.check_schema(self.adapter.credential_schema)
        Draft202012Validator(self.adapter.credential_schema).validate(dict(self.fields))
        assert set(self.adapter.secret_fields()) <= known
        assert set(self.adapter.inherited_fields) <= known
        assert not [name for name in self.adapter.inherited_fields if name.startswith("webhook_")]
        assert set(self.adapter.required_fields()) <= set(self.fields) <= known

    def test_capabilities_are_the_overridden_operations_and_each_has_a_sample(self):
        overridden = {name for name in OPERATIONS if name in vars(self.adapter)}
        assert set(self.adapter.capabilities()) == overridden - {CHECK}
        assert {name for name in overridden if OPERATIONS[name] is not Effect.LOCAL} == set(self.calls)

    def test_rates_are_of_operations(self):
        for name, rate in self.adapter.rates.items():
            limited = rate.operations or ((name,) if name != "*" else ())
            assert all(OPERATIONS[operation] is not Effect.LOCAL for operation in limited)

    def test_unsupported_operation_names_carrier_and_operation_and_sends_nothing(self, unsupported):
        adapter = self.open(answer({}))
        with pytest.raises(CarrierUnsupported) as refused:
            getattr(adapter, unsupported)(*ARGUMENTS.get(unsupported, ()), **KEYWORDS.get(unsupported, {}))
        assert (refused.value.carrier, refused.value.carrier_code) == (self.adapter.name, unsupported)
        assert self.adapter.name in str(refused.value)
        assert unsupported.replace("_", " ") in str(refused.value)
        assert adapter.http.sent == []

    # Effects

    def test_every_request_names_its_operation(self, operation):
        call, body = self.calls[operation]
        adapter = self.open(answer(body))
        call(adapter)
        assert adapter.http.sent
        assert all(sent["operation"] == operation for sent in adapter.http.sent)

    @pytest.mark.parametrize(
        ("failure", "read_error"),
        [(requests.ConnectionError("reset"), CarrierUnavailable), (requests.ReadTimeout("late"), CarrierTimeout)],
        ids=["connection lost", "no response in time"],
    )
    def test_only_reads_are_repeated_after_a_failure_that_leaves_the_outcome_open(
        self, requested, failure, read_error, settings
    ):
        settings.CARRIER_MAX_RETRIES, settings.CARRIER_RETRY_DELAY_S = 3, 0
        assert OPERATIONS[requested] is not Effect.LOCAL
        with FailingNetwork(failure) as network, pytest.raises(CarrierError) as problem:
            self.call_of(requested)(self._on(network))
        assert type(problem.value) is (read_error if is_read(requested) else OutcomeUnknown)
        # All the time is used up after a timeout.
        assert network.attempts == (4 if is_read(requested) and read_error is CarrierUnavailable else 1)

    def test_every_operation_is_repeated_if_nothing_was_sent(self, requested, settings):
        settings.CARRIER_MAX_RETRIES, settings.CARRIER_RETRY_DELAY_S = 3, 0
        with FailingNetwork(requests.ConnectTimeout("refused")) as network, pytest.raises(CarrierError) as problem:
            self.call_of(requested)(self._on(network))
        assert type(problem.value) is CarrierUnavailable
        assert network.attempts == 4

    def _on(self, network):
        http = network.transport(self.adapter, self.fields)
        tokens = Tokens() if self.adapter.logs_in() else None
        return self.adapter(
            fields=self.fields,
            environment="sandbox",
            urls=base_urls(self.adapter, "sandbox"),
            http=http,
            tokens=tokens,
        )

    def test_requests_are_of_their_environment_and_no_purchase_is_of_the_other(self, operation, settings):
        call, body = self.calls[operation]
        modes = {"sandbox": Credential(carrier=self.adapter.slug, mode="test")}
        modes["production"] = Credential(carrier=self.adapter.slug, mode="live")
        for simulated, environment in itertools.product((True, False), modes):
            settings.CARRIER_SIMULATED = simulated
            adapter = self.open(answer(body), environment=environment)
            call(adapter)
            (other,) = (credential for name, credential in modes.items() if name != environment)
            for sent in (sent for sent in adapter.http.sent if "body" in sent):
                request = (sent["operation"], sent["url"], sent["body"])
                environments.check_request(modes[environment], *request)
                if OPERATIONS[sent["operation"]] is Effect.PURCHASE:
                    with pytest.raises(CarrierRejected):
                        environments.check_request(other, *request)

    @pytest.mark.parametrize("kind", [CarrierUnavailable, CarrierTimeout, CarrierRateLimited, OutcomeUnknown])
    def test_errors_of_the_transport_reach_the_caller(self, operation, kind):
        call, _body = self.calls[operation]
        error = kind(carrier=self.adapter.name, carrier_code="503")
        with pytest.raises(kind) as raised:
            call(self.open(error))
        assert type(raised.value) is kind
        assert raised.value.carrier_code == "503"

    # Tokens

    def test_token_is_sent_and_renewed_once(self, operation):
        if not self.adapter.logs_in():
            pytest.skip("the carrier takes a key with each request")
        call, body = self.calls[operation]
        adapter = self.open(answer({}, 401), answer(body))
        call(adapter)
        assert adapter.tokens.refused == ["token-1"]
        sent = [" ".join(request["headers"].values()) for request in adapter.http.sent]
        assert "token-1" in sent[0]
        assert "token-2" in sent[1]

    def test_refused_new_token_is_an_error_of_the_credential(self, operation):
        call, _body = self.calls[operation]
        for body in STRANGE_REFUSALS.values():
            adapter = self.open(answer(body, 401))
            with pytest.raises(CarrierAuthentication):
                call(adapter)
            assert len(adapter.http.sent) == (2 if self.adapter.logs_in() else 1)
