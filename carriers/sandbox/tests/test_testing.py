"""``find_differences`` between a recorded and a simulated answer."""

import copy

import pytest

from carriers.sandbox.testing import find_differences

EXPECTED = {
    "status": "in_transit",
    "code": "RVS-014",
    "price": 12.25,
    "photo": None,
    "services": ["DROP", "RETURNS"],
    "events": [
        {"status": "created", "at": "10:00"},
        {"status": "in_transit", "at": "12:00", "details": {"vehicle": "VAN-1", "stops": 2}},
    ],
    "points": [{"name": "One"}, {"name": "Two", "hours": {"monday": "08:00"}}],
    "error": {"code": "FORBIDDEN", "message": "No", "field": None},
    "errors": {"weight": "Too heavy"},
    "restrictions": [],
}


def changed(change):
    other = copy.deepcopy(EXPECTED)
    change(other)
    return other


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.update(code="ANOTHER", price=7, more=1),
        lambda it: it["events"].insert(1, {"status": "picked_up", "at": "11:00"}),
        lambda it: it["events"][0].update(details={}),
        lambda it: it["points"].append({}),
    ],
)
def test_other_values_and_additional_data_are_accepted(change):
    assert find_differences(EXPECTED, changed(change)) == []


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda it: it.pop("code"), "$.code is missing"),
        (lambda it: it.update(code=None), "$.code: NoneType instead of str"),
        (lambda it: it.update(photo="data:"), "$.photo: str instead of NoneType"),
        (lambda it: it.update(price="12.25"), "$.price: str instead of number"),
        (lambda it: it.update(price=True), "$.price: bool instead of number"),
        (lambda it: it.update(status="delivered"), "$.status: 'delivered' instead of 'in_transit'"),
        (lambda it: it["services"].pop(), "$.services: ['DROP'] instead of ['DROP', 'RETURNS']"),
        (lambda it: it["events"].reverse(), "$.events[1]: NoneType instead of dict"),
        (lambda it: it["events"][1].update(status="lost"), "$.events[1]: NoneType instead of dict"),
        (lambda it: it["events"][1]["details"].pop("vehicle"), "$.events[1].details.vehicle is missing"),
        (lambda it: it["points"][1].pop("hours"), "$.points[1].hours is missing"),
        (lambda it: it["points"].pop(), "$.points[1]: NoneType instead of dict"),
        (lambda it: it["error"].update(code="OTHER"), "$.error.code: 'OTHER' instead of 'FORBIDDEN'"),
        (lambda it: it["error"].update(message="Nay"), "$.error.message: 'Nay' instead of 'No'"),
        (lambda it: it["errors"].update(weight="Heavy"), "$.errors.weight: 'Heavy' instead of 'Too heavy'"),
        (lambda it: it["restrictions"].append("NO_GLASS"), "$.restrictions: something instead of nothing"),
    ],
)
def test_missing_or_wrong_values_are_reported(change, difference):
    assert find_differences(EXPECTED, changed(change)) == [difference]


def test_exact_comparison_reports_additional_keys():
    more = changed(lambda it: it["events"][0].update(details={}))
    assert find_differences(EXPECTED, more, exactly=True) == ["$.events[0].details is too much"]
