"""What the comparison of a recorded answer with a simulated one does not let through."""

import copy

import pytest

from carriers.sandbox.testing import lacking

TOLD = {
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
    other = copy.deepcopy(TOLD)
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
def test_other_values_and_more_of_everything_are_no_fault(change):
    assert lacking(TOLD, changed(change)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
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
def test_what_is_absent_or_another_is_named(change, fault):
    assert lacking(TOLD, changed(change)) == [fault]


def test_where_it_has_to_fit_exactly_more_keys_are_faults():
    more = changed(lambda it: it["events"][0].update(details={}))
    assert lacking(TOLD, more, exactly=True) == ["$.events[0].details is too much"]
