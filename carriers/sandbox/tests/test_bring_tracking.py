"""The simulated Bring: tracking, signatures and Event Cast."""

from datetime import datetime

import requests

from carriers.sandbox.bring.scans import STATUSES
from carriers.sandbox.bring.subscriptions import EVENTS
from carriers.sandbox.tests.bring_client import BringClient

SUBSCRIPTION = {
    "trackingId": "TESTPACKAGEEDI",
    "event_groups": ["DELIVERED", "IN_TRANSIT"],
    "configuration": {
        "url": "http://127.0.0.1:9/events",
        "content_type": "application/json",
        "headers": [{"key": "X-Hook-Token", "value": "canary-value"}],
    },
}
HOOKS = "/event-cast/api/v1/webhooks"


def first_error(answer):
    return answer.status_code, answer.json()["consignmentSet"][0]["error"]


def test_shipment_is_found_by_its_numbers_and_reference(bring):
    reference = f"REF {id(bring)}"
    booked = bring.confirm(packages=[{"weightInKg": 1}, {"weightInKg": 2}], parties__sender__reference=reference)
    one, two = (package["packageNumber"] for package in booked["packages"])
    number = booked["consignmentNumber"]
    found = {query: bring.track(query).json()["consignmentSet"] for query in (number, one, two, reference)}
    shown = {query: [one["packageNumber"] for one in sets[0]["packageSet"]] for query, sets in found.items()}
    assert shown == {number: [one, two], one: [one], two: [two], reference: [one, two]}
    assert {sets[0]["consignmentId"] for sets in found.values()} == {number}
    again = bring.confirm(parties__sender__reference=reference)["consignmentNumber"]
    assert [one["consignmentId"] for one in bring.track(reference).json()["consignmentSet"]] == [number, again]
    assert first_error(BringClient(bring.process, "platform@bring.example").track(reference))[1]["code"] == 404


def test_packages_are_scanned_apart_and_the_newest_event_comes_first(bring):
    booked = bring.confirm(packages=[{"weightInKg": 1}, {"weightInKg": 2}])
    one, two = (package["packageNumber"] for package in booked["packages"])
    bring.advance(booked["consignmentNumber"], "HANDED_IN")
    bring.advance(one)
    bring.advance(booked["consignmentNumber"], "DEVIATION", package=2, details={"event_code": "5", "cause_code": "37"})
    assert bring.statuses(one) == ["IN_TRANSIT", "HANDED_IN", "PRE_NOTIFIED"]
    assert bring.statuses(two) == ["DEVIATION", "HANDED_IN", "PRE_NOTIFIED"]
    event = bring.track(two).json()["consignmentSet"][0]["packageSet"][0]["eventSet"][0]
    assert (event["lmEventCode"], event["lmCauseCode"]) == ("5", "37")
    bring.advance(one, at="2030-07-01T20:00:00Z")
    bring.advance(one, "TERMINAL", at="2030-01-01 10:00:00")
    events = bring.track(one, lang="no").json()["consignmentSet"][0]["packageSet"][0]["eventSet"]
    assert [event["dateIso"] for event in events[:2]] == ["2030-07-01T22:00:00+02:00", "2030-01-01T10:00:00+01:00"]
    assert (events[0]["displayDate"], events[0]["displayTime"]) == ("01.07.2030", "22:00")
    assert events[0]["description"] == "Sendingen er lastet opp for utkjøring."


def test_only_its_sender_sees_signature_and_names(bring):
    point = {"id": "105003", "countryCode": "NO"}
    number = bring.confirm(parties__pickupPoint=point)["packages"][0]["packageNumber"]
    for _ in range(4):
        bring.advance(number)
    assert bring.statuses(number)[:2] == ["DELIVERED", "READY_FOR_PICKUP"]
    other = BringClient(bring.process, "platform@bring.example")
    (own,), (others,) = (one.track(number).json()["consignmentSet"] for one in (bring, other))
    signature = own["packageSet"][0]["eventSet"][0]["recipientSignature"]
    assert (signature["name"], own["recipientName"]) == ("Ola Nordmann", "Kari Åsen")
    assert bring.session.get(signature["linkToImage"]).content.startswith(b"\x89PNG")
    assert other.session.get(signature["linkToImage"]).status_code == 404
    assert others["packageSet"][0]["eventSet"][0]["recipientSignature"] == {"name": "", "linkToImage": None}
    assert "recipientName" not in others
    assert others["packageSet"][0]["expectedPickupUnitId"] == "105003"


def test_every_status_can_be_reached_and_subscribed(bring):
    number = bring.confirm()["consignmentNumber"]
    for status in STATUSES:
        bring.advance(number, status.lower())
    assert bring.statuses(number) == [*reversed(STATUSES), "PRE_NOTIFIED"]
    assert set(STATUSES) - {"UNKNOWN"} == EVENTS


def test_documented_test_numbers_answer_as_the_samples(bring):
    newest = {"TESTPACKAGEATPICKUPPOINT": "READY_FOR_PICKUP", "TESTPACKAGEEDI": "PRE_NOTIFIED"}
    for number, status in (newest | {"TESTPACKAGEDELIVERED": "DELIVERED"}).items():
        (found,) = bring.track(number).json()["consignmentSet"]
        (package,) = found["packageSet"]
        shown = found["consignmentId"], package["packageNumber"], package["eventSet"][0]["status"]
        assert shown == ("SHIPMENTNUMBER", number, status)


def test_failed_searches_stand_under_200_and_block_the_user(bring):
    assert first_error(bring.track("70438101268018539")) == (200, {"code": 404, "message": "No shipments found"})
    assert first_error(bring.track("?!")) == (200, {"code": 400, "message": "Invalid query"})
    bring.configure(tracking_error_status=0)
    assert first_error(bring.track("70438101268018539"))[0] == 404
    searcher = BringClient(bring.process, f"searcher{id(bring)}@bring.example")
    searcher.configure(rate_limit=1, max_misses=2)
    for _ in range(2):
        assert first_error(searcher.track("70438101268018539"))[1]["code"] == 404
    blocked = searcher.track("TESTPACKAGEDELIVERED").json()["shipments"][0]["consignmentSet"][0]["error"]
    assert (blocked["code"], blocked["system"]) == (503, "TooBusyPakker_TooBusyPakker")


def test_subscribed_events_are_sent_with_the_header_of_the_subscription(bring, receiver):
    booked = bring.confirm(packages=[{"weightInKg": 1}, {"weightInKg": 2}])
    shipment, (one, two) = booked["consignmentNumber"], (package["packageNumber"] for package in booked["packages"])
    configuration = SUBSCRIPTION["configuration"] | {"url": receiver.url}
    whole = bring("POST", HOOKS, SUBSCRIPTION | {"trackingId": shipment, "configuration": configuration}).json()
    part = {"trackingId": two, "event_groups": ["RETURN"], "configuration": configuration}
    single = bring("POST", HOOKS, part).json()
    for status in ("HANDED_IN", "IN_TRANSIT", "RETURN"):
        bring.advance(shipment, status, at="2030-07-01T20:00:00Z")
    events = receiver.wait_for(3)
    bring.checks.check_events(events)
    sent = sorted((event["id"], event["package"], event["status"]) for event in events)
    assert sent == sorted(
        [(whole["id"], one, "IN_TRANSIT"), (whole["id"], two, "IN_TRANSIT"), (single["id"], two, "RETURN")]
    )
    assert {event["created"] for event in events} == {"2030-07-01T20:00:00+0000"}
    assert set(events[0]) == {"status", "id", "shipment", "package", "created", "pushed"}
    for headers, _body in receiver.received:
        assert headers["X-Hook-Token"] == "canary-value"
        assert headers["X-Bring-Application"] == "BMEC"
        assert headers["User-Agent"].startswith("Bringcast-Webhook/")
    assert "canary-value" not in str(bring.process.calls(carrier="bring"))


def test_subscription_is_shown_without_its_secret_until_it_is_deleted(bring, receiver):
    number = bring.confirm()["consignmentNumber"]
    configuration = SUBSCRIPTION["configuration"] | {"url": receiver.url}
    answer = bring("POST", HOOKS, SUBSCRIPTION | {"trackingId": number, "configuration": configuration})
    webhook = answer.json()
    assert (answer.status_code, webhook["configuration"]["headers"]) == (201, [{"key": "X-Hook-Token"}])
    dates = [datetime.strptime(webhook[name], "%Y-%m-%dT%H:%M:%S%z") for name in ("created", "expiry")]
    assert (dates[1] - dates[0]).days == 30
    assert bring("GET", f"{HOOKS}/{webhook['id']}").json() == webhook
    assert webhook in bring("GET", f"{HOOKS}/").json()
    assert bring("POST", f"{HOOKS}/{webhook['id']}/test").status_code == 202
    assert receiver.wait_for(1)[0]["shipment"] == number
    other = BringClient(bring.process, "platform@bring.example")
    assert other("DELETE", f"{HOOKS}/{webhook['id']}").status_code == 404
    assert bring("DELETE", f"{HOOKS}/{webhook['id']}").status_code == 204
    assert bring("GET", f"{HOOKS}/{webhook['id']}").status_code == 404
    bring.advance(number, "DELIVERED")
    assert bring("POST", HOOKS, SUBSCRIPTION | {"trackingId": number}).status_code == 201
    assert len(receiver.received) == 1


def test_invalid_or_repeated_subscription_is_refused(bring):
    number = bring.confirm()["consignmentNumber"]
    configuration = SUBSCRIPTION["configuration"]
    for change, reason in (
        ({"trackingId": None}, "Reference is not provided"),
        ({"trackingId": "a reference"}, "Only parcel or shipment numbers can be subscribed"),
        ({"event_groups": ["*"]}, "Event groups are not valid"),
        ({"configuration": configuration | {"url": "ftp://shop"}}, "Configuration url is not valid"),
        ({"configuration": configuration | {"headers": [{"value": "x"}]}}, "Configuration headers are not valid"),
    ):
        answer = bring("POST", HOOKS, SUBSCRIPTION | change)
        assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (400, "400", reason)
    one = SUBSCRIPTION | {"trackingId": number}
    groups = (["DELIVERED"], ["IN_TRANSIT", "DELIVERED"], ["IN_TRANSIT"])
    assert [bring("POST", HOOKS, one | {"event_groups": some}).status_code for some in groups] == [201, 409, 201]
    batch = {name: value for name, value in SUBSCRIPTION.items() if name != "trackingId"}
    path = "/event-cast/batch/api/v1/webhooks"
    other = bring.confirm()["consignmentNumber"]
    answer = bring("POST", path, batch | {"trackingIds": [number, other]})
    assert (answer.status_code, [webhook["trackingId"] for webhook in answer.json()]) == (201, [other])
    assert bring("POST", path, batch | {"trackingIds": [number, other]}).status_code == 409
    assert bring("POST", path, batch | {"trackingIds": [f"{index}" for index in range(101)]}).status_code == 400


def test_label_links_of_test_numbers_do_not_exist(bring):
    assert requests.get(f"{bring.url}/labels/id/00000000-0000-0000-0000-000000000000.pdf").status_code == 404
