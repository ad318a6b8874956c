"""A number tells its route and a mistyped one from a right one; only who has the secret can make it."""

import itertools
import multiprocessing
import random
import re
from concurrent.futures import ProcessPoolExecutor
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


def made_in_a_process(first_and_count):
    first, count = first_and_count
    return [number_of(correlation_id=str(number)) for number in range(first, first + count)]


def test_eight_processes_make_no_number_twice(full_size):
    each = (10_000_000 if full_size else 1_000_000) // 8
    with ProcessPoolExecutor(8, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = pool.map(made_in_a_process, [(number * each, each) for number in range(8)])
        assert len(set().union(*parts)) == 8 * each


# The check character, proved for every number: it walks through 36 states, one step a character.


def step(state, value):
    return ((state + value) % 36 or 36) * 2 % 37


STATES, LETTERS = range(1, 37), range(36)


def test_the_steps_here_are_those_of_the_code():
    state = 36
    for letter in "MYID4Q0ZK81WB7T":
        state = step(state, numbers.ALPHABET.index(letter))
    assert numbers.check_character("MYID4Q0ZK81WB7T") == numbers.ALPHABET[(37 - state) % 36]


def test_two_letters_never_lead_to_one_state_so_every_wrong_character_is_caught():
    assert all(len({step(state, letter) for letter in LETTERS}) == 36 for state in STATES)
    assert all(len({step(state, letter) for state in STATES}) == 36 for letter in LETTERS)
    assert len({(37 - state) % 36 for state in STATES}) == 36


def test_of_all_swaps_of_neighbours_at_most_two_in_a_thousand_pass():
    swaps = [(state, one, other) for state in STATES for one in LETTERS for other in LETTERS if one != other]
    passed = sum(step(step(state, one), other) == step(step(state, other), one) for state, one, other in swaps)
    assert passed / len(swaps) <= 0.002
    last = [(state, one, (37 - step(state, one)) % 36) for state in STATES for one in LETTERS]
    with_check = sum(one != check and (37 - step(state, check)) % 36 == one for state, one, check in last)
    assert with_check / len(last) <= 0.002


# UPU S10


def s10_of(correlation_id="c", indicator="CP", derivation=0):
    request = replace(REQUEST, indicator=indicator)
    message = request.message(correlation_id)
    return numbers.make_s10(indicator=indicator, country="MY", message=message, secret=b"secret", derivation=derivation)


# The first is the example of the UPU's standard, the others were computed with its weights by hand.
@pytest.mark.parametrize(
    ("serial", "digit"), [("47312482", "9"), ("00000000", "5"), ("12345678", "5"), ("99999999", "5"), ("00000006", "2")]
)
def test_the_check_digit_is_that_of_s10(serial, digit):
    assert numbers.s10_check_digit(serial) == digit


def test_an_s10_number_is_made_checked_and_taken_apart():
    number = s10_of()
    assert re.fullmatch(r"CP[0-9]{9}MY", number)
    assert numbers.check_s10(number)
    parts = numbers.parse_s10(number)
    assert "".join((parts.indicator, parts.serial, parts.check_digit, parts.country)) == number
    assert s10_of(derivation=1) != number
    for bad in ("", number.lower(), number[:-1], f" {number}", "RA473124828SE", number_of()):
        assert not numbers.check_s10(bad)
        with pytest.raises(ValueError, match="S10"):
            numbers.parse_s10(bad)


def test_of_single_wrong_digits_s10_misses_only_what_its_own_rule_cannot_tell():
    """Two of the eleven remainders share a digit: 10 is written 0 and 11 is written 5."""
    missed = total = 0
    for place in range(8):
        for serial in (numbers.parse_s10(s10_of(str(number))).serial for number in range(50)):
            for digit in set("0123456789") - {serial[place]}:
                total += 1
                other = serial[:place] + digit + serial[place + 1 :]
                missed += numbers.s10_check_digit(other) == numbers.s10_check_digit(serial)
    assert missed / total < 0.05


def test_our_own_format_is_no_s10_number_and_keeps_its_message():
    assert (
        REQUEST.message("c")
        == replace(REQUEST, indicator="").message("c")
        != replace(REQUEST, indicator="CP").message("c")
    )
