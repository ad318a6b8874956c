"""Codes of scans in the spellings that carriers use."""

from carriers.adapters.pickit.read import STATUSES
from carriers.adapters.scans import build_scan
from carriers.adapters.velocity.read import code_of
from carriers.types import Status


def test_code_is_recognized_in_any_case_and_as_words():
    for text in ("out_for_delivery", "OUT_FOR_DELIVERY", "Out For Delivery", " out-for-delivery ", "Out  for delivery"):
        scan = build_scan(text, "2026-11-30T10:00:00Z", statuses=STATUSES, descriptions={}, details={})
        assert (scan.code, scan.status) == ("out_for_delivery", Status.OUT_FOR_DELIVERY), text
        assert code_of(text) == "OFD", text
    for text, code in {"ofd": "OFD", " Ndr ": "NDR", "In Transit": "IT", "Held At Hub": "Held At Hub"}.items():
        assert code_of(text) == code


def test_unknown_code_is_kept_as_the_carrier_wrote_it():
    scan = build_scan("Held At Hub", "2026-11-30T10:00:00Z", statuses=STATUSES, descriptions={}, details={})
    assert (scan.code, scan.status) == ("Held At Hub", Status.UNKNOWN)


def test_exception_has_the_reason_of_its_cause_or_else_of_its_code():
    reasons = {"exception": ("other", ""), "NOBODY": ("not_home", "sender")}
    for cause, expected in (("NOBODY", ("not_home", "sender")), ("", ("other", "")), (["x"], ("other", ""))):
        scan = build_scan(
            "exception", "2026-11-30", statuses=STATUSES, descriptions={}, details={}, reasons=reasons, cause=cause
        )
        assert (scan.reason, scan.action_required_by) == expected
    scan = build_scan(
        "delivered", "2026-11-30", statuses=STATUSES, descriptions={}, details={}, reasons=reasons, cause="NOBODY"
    )
    assert (scan.reason, scan.action_required_by) == ("", "")
