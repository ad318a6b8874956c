"""Each operation has the effect that decides whether it may be repeated."""

import pytest

from carriers.adapters.base import CarrierAdapter
from carriers.adapters.operations import LOGIN, OPERATIONS, Effect, is_read

PURCHASES = {"create_label", "create_return", "schedule_pickup"}
WRITES = {
    "cancel",
    "cancel_pickup",
    "register_warehouse",
    "update_order",
    "rotate_credentials",
    "upload_document",
    "close_day",
    "subscribe",
    "activate",
    "unsubscribe",
}
LOCAL = {"verify_webhook", "parse_webhook"}


def test_purchases_writes_and_local_operations_are_complete():
    for effect, names in ((Effect.PURCHASE, PURCHASES), (Effect.WRITE, WRITES), (Effect.LOCAL, LOCAL)):
        assert {name for name, stated in OPERATIONS.items() if stated is effect} == names


def test_only_reads_are_repeated():
    assert {name for name in OPERATIONS if not is_read(name)} == PURCHASES | WRITES | LOCAL
    assert is_read(LOGIN)


def test_unknown_operation_is_a_programming_error():
    with pytest.raises(KeyError):
        is_read("teleport")


def test_every_operation_except_the_login_is_a_method_of_adapters():
    assert all(callable(getattr(CarrierAdapter, name)) for name in OPERATIONS if name != LOGIN)
    assert CarrierAdapter.capabilities() == ()
