"""A number tells its route and a mistyped one from a right one; only who has the secret can make it."""

import itertools
import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured

from tracking import numbers
from tracking.countries import COUNTRIES
from tracking.numbers import NumberRequest

REQUEST = NumberRequest(
    origin="MY",
    destination="ID",
    weight_kg=Decimal("1.234"),
    created_at=datetime.fromisoformat("2018-11-20T19:29:32+08:00"),
    customer_id=UUID("de619854-b59b-425e-9db4-943979e1bd49"),
    customer_name="RedBox Logistics",
    customer_slug="redbox-logistics",
)


def number_of(request=REQUEST, correlation_id="c", secret=b"secret", derivation=0):
    return numbers.make(
        origin=request.origin,
        destination=request.destination,
        message=request.message(correlation_id),
        secret=secret,
        derivation=derivation,
    )


def sample(size):
    return [number_of(correlation_id=str(i)) for i in range(size)]


# The first is the example of python-stdnum's documentation; all were computed with python-stdnum's iso7064.mod_37_36.
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("A12425GABC1234002", "M"),
        ("MYID0000000000A", "0"),
        ("MYIDZZZZZZZZZZZ", "E"),
        ("USBR0123456789A", "5"),
        ("COMX4Q0ZK81WB7T", "2"),
        ("00000000000", "D"),
        ("0", "2"),
        ("Z", "4"),
    ],
)
def test_the_check_character_is_that_of_iso_7064_mod_37_36(body, expected):
    assert numbers.check_character(body) == expected


def test_a_number_has_the_documented_form_and_its_route():
    for number in sample(200):
        assert re.fullmatch(r"[A-Z0-9]{1,16}", number)
        assert len(number) == 16
        assert numbers.check(number)
        assert numbers.parse(number)[:2] == ("MY", "ID")
        assert "".join(numbers.parse(number)) == number


def test_the_algorithm_does_not_drift():
    """Numbers made before an upgrade are made again after it."""
    assert number_of() == "MYIDDZLD1GVYCMTY"


@pytest.mark.parametrize(
    "bad",
    ["", "MYID", "myid0000000000a0", "MYID0000000000A1", "MYID0000000000A0\n", "MY1D0000000000AA", "МYID0000000000A0"],
)
def test_what_is_no_number_is_refused(bad):
    assert not numbers.check(bad)
    with pytest.raises(ValueError, match="not a tracking number"):
        numbers.parse(bad)


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "SG"},
        {"destination": "SG"},
        {"weight_kg": Decimal("1.235")},
        {"created_at": REQUEST.created_at + timedelta(microseconds=1)},
        {"customer_id": UUID(int=1)},
        {"customer_name": "RedBox Logistic"},
        {"customer_slug": "redbox"},
        {"customer_name": 'RedBox","Logistics', "customer_slug": "x"},
    ],
)
def test_every_input_counts(change):
    assert number_of(replace(REQUEST, **change))[4:] != number_of()[4:]


def test_the_correlation_id_the_derivation_and_the_secret_count():
    changed = [number_of(correlation_id="d"), number_of(derivation=1), number_of(secret=b"guess")]
    assert len({number_of(), *changed}) == 4


def test_values_cannot_run_into_each_other():
    one = replace(REQUEST, customer_name="a", customer_slug="b-c")
    other = replace(REQUEST, customer_name='a","b', customer_slug="c")
    assert one.message("x") != other.message("x")
    assert REQUEST.message("1") + b"1" != REQUEST.message("11")


def test_the_same_weight_and_instant_written_otherwise_are_the_same_inputs():
    same = replace(REQUEST, weight_kg=Decimal("1.2340"), created_at=REQUEST.created_at.astimezone(UTC))
    assert number_of(same) == number_of()


def test_every_single_wrong_character_is_caught():
    for number in sample(50):
        for place, letter in itertools.product(range(16), numbers.ALPHABET):
            if letter != number[place]:
                assert not numbers.check(number[:place] + letter + number[place + 1 :])


def test_at_least_998_in_1000_swaps_of_neighbours_are_caught():
    swapped = [
        number[:place] + number[place + 1] + number[place] + number[place + 2 :]
        for number in sample(5_000)
        for place in range(15)
        if number[place] != number[place + 1]
    ]
    assert sum(map(numbers.check, swapped)) / len(swapped) <= 0.002


def test_no_two_of_many_are_equal():
    assert len(set(sample(20_000))) == 20_000


def test_the_hash_part_uses_the_whole_alphabet_evenly():
    letters = "".join(numbers.parse(number).hash_part for number in sample(3_600))
    counts = [letters.count(letter) for letter in numbers.ALPHABET]
    assert min(counts) > 900 and max(counts) < 1_300  # 1,100 each, give or take six deviations


def test_countries_are_the_assigned_codes():
    assert len(COUNTRIES) == 249
    assert {"MY", "ID", "US", "CO", "GB", "SS"} <= COUNTRIES
    assert not {"UK", "EU", "XK", "AN", "ZZ", "AA"} & COUNTRIES


def test_the_first_secret_makes_new_numbers():
    assert numbers.first_secret("2:new:with-colon, 1:old") == ("2", b"new:with-colon")


@pytest.mark.parametrize("bad", ["", "canary", ":canary", "1:", "one two:canary", "v" * 17 + ":canary"])
def test_a_malformed_secret_is_refused_without_showing_it(bad):
    with pytest.raises(ImproperlyConfigured, match="TRACKING_NUMBER_SECRETS") as refused:
        numbers.first_secret(bad)
    assert "canary" not in str(refused.value)


def test_an_outsider_who_knows_everything_but_the_secret_predicts_nothing():
    guesses = random.Random(1)
    for i in range(200):
        secret = guesses.randbytes(16)
        assert number_of(correlation_id=str(i), secret=secret)[4:15] != number_of(correlation_id=str(i))[4:15]
