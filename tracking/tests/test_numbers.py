"""Numbers: form, check character and unpredictability."""

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
def test_check_character_follows_iso_7064_mod_37_36(body, expected):
    assert numbers.check_character(body) == expected


def test_number_has_the_documented_form_and_its_countries():
    for number in sample(200):
        assert re.fullmatch(r"[A-Z0-9]{1,16}", number)
        assert len(number) == 16
        assert numbers.check(number)
        assert numbers.parse(number)[:2] == ("MY", "ID")
        assert "".join(numbers.parse(number)) == number


def test_algorithm_is_unchanged():
    """After an upgrade, repeated requests get their earlier numbers."""
    assert number_of() == "MYIDDZLD1GVYCMTY"


@pytest.mark.parametrize(
    "bad",
    ["", "MYID", "myid0000000000a0", "MYID0000000000A1", "MYID0000000000A0\n", "MY1D0000000000AA", "МYID0000000000A0"],
)
def test_invalid_number_is_refused(bad):
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
def test_every_input_changes_the_number(change):
    assert number_of(replace(REQUEST, **change))[4:] != number_of()[4:]


def test_correlation_id_derivation_and_secret_change_the_number():
    changed = [number_of(correlation_id="d"), number_of(derivation=1), number_of(secret=b"guess")]
    assert len({number_of(), *changed}) == 4


def test_adjacent_values_are_separated():
    one = replace(REQUEST, customer_name="a", customer_slug="b-c")
    other = replace(REQUEST, customer_name='a","b', customer_slug="c")
    assert one.message("x") != other.message("x")
    assert REQUEST.message("1") + b"1" != REQUEST.message("11")


def test_equal_weight_and_time_in_another_notation_give_the_same_number():
    same = replace(REQUEST, weight_kg=Decimal("1.2340"), created_at=REQUEST.created_at.astimezone(UTC))
    assert number_of(same) == number_of()


def test_every_single_wrong_character_is_detected():
    for number in sample(50):
        for position, letter in itertools.product(range(16), numbers.ALPHABET):
            if letter != number[position]:
                assert not numbers.check(number[:position] + letter + number[position + 1 :])


def test_998_of_1000_swaps_of_neighbours_are_detected():
    swapped = [
        number[:position] + number[position + 1] + number[position] + number[position + 2 :]
        for number in sample(5_000)
        for position in range(15)
        if number[position] != number[position + 1]
    ]
    assert sum(map(numbers.check, swapped)) / len(swapped) <= 0.002


def test_many_numbers_are_distinct():
    assert len(set(sample(20_000))) == 20_000


def test_hash_part_uses_the_alphabet_evenly():
    letters = "".join(numbers.parse(number).hash_part for number in sample(3_600))
    counts = [letters.count(letter) for letter in numbers.ALPHABET]
    assert min(counts) > 900 and max(counts) < 1_300  # 1,100 each, within six standard deviations


def test_countries_are_the_assigned_codes():
    assert len(COUNTRIES) == 249
    assert {"MY", "ID", "US", "CO", "GB", "SS"} <= COUNTRIES
    assert not {"UK", "EU", "XK", "AN", "ZZ", "AA"} & COUNTRIES


def test_first_secret_is_used_for_new_numbers():
    assert numbers.first_secret("2:new:with-colon, 1:old") == ("2", b"new:with-colon")


@pytest.mark.parametrize("bad", ["", "canary", ":canary", "1:", "one two:canary", "v" * 17 + ":canary"])
def test_malformed_secret_is_refused_without_showing_it(bad):
    with pytest.raises(ImproperlyConfigured, match="TRACKING_NUMBER_SECRETS") as refused:
        numbers.first_secret(bad)
    assert "canary" not in str(refused.value)


def test_number_cannot_be_predicted_without_the_secret():
    guesses = random.Random(1)
    for i in range(200):
        secret = guesses.randbytes(16)
        assert number_of(correlation_id=str(i), secret=secret)[4:15] != number_of(correlation_id=str(i))[4:15]


def make_in_process(first_and_count):
    first, count = first_and_count
    return [number_of(correlation_id=str(number)) for number in range(first, first + count)]


def test_eight_processes_make_distinct_numbers(full_size):
    each = (10_000_000 if full_size else 1_000_000) // 8
    with ProcessPoolExecutor(8, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = pool.map(make_in_process, [(number * each, each) for number in range(8)])
        assert len(set().union(*parts)) == 8 * each


# The check character, proved for every number: an automaton with 36 states and one step per character.


def step(state, value):
    return ((state + value) % 36 or 36) * 2 % 37


STATES, LETTERS = range(1, 37), range(36)


def test_step_equals_the_code_under_test():
    state = 36
    for letter in "MYID4Q0ZK81WB7T":
        state = step(state, numbers.ALPHABET.index(letter))
    assert numbers.check_character("MYID4Q0ZK81WB7T") == numbers.ALPHABET[(37 - state) % 36]


def test_steps_are_injective_so_every_wrong_character_is_detected():
    assert all(len({step(state, letter) for letter in LETTERS}) == 36 for state in STATES)
    assert all(len({step(state, letter) for state in STATES}) == 36 for letter in LETTERS)
    assert len({(37 - state) % 36 for state in STATES}) == 36


def test_at_most_two_in_1000_of_all_swaps_are_undetected():
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


# The first is the example of the UPU's standard. The others were computed by hand with its weights.
@pytest.mark.parametrize(
    ("serial", "digit"), [("47312482", "9"), ("00000000", "5"), ("12345678", "5"), ("99999999", "5"), ("00000006", "2")]
)
def test_check_digit_follows_s10(serial, digit):
    assert numbers.s10_check_digit(serial) == digit


def test_s10_number_is_made_checked_and_parsed():
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


def test_s10_misses_few_single_wrong_digits():
    """Two of the eleven values have the same digit: 5, and 11, which is written 5."""
    missed = total = 0
    for position in range(8):
        for serial in (numbers.parse_s10(s10_of(str(number))).serial for number in range(50)):
            for digit in set("0123456789") - {serial[position]}:
                total += 1
                other = serial[:position] + digit + serial[position + 1 :]
                missed += numbers.s10_check_digit(other) == numbers.s10_check_digit(serial)
    assert missed / total < 0.05


def test_message_of_the_own_format_has_no_indicator():
    assert (
        REQUEST.message("c")
        == replace(REQUEST, indicator="").message("c")
        != replace(REQUEST, indicator="CP").message("c")
    )
