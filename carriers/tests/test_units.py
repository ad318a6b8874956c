"""Weights and lengths keep their size in any unit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carriers.types.units import LENGTHS, WEIGHTS, announced, convert

SIZES = st.decimals(min_value=0, max_value=10**6, places=6, allow_nan=False)
PAIRS = st.sampled_from([(one, other) for units in (WEIGHTS, LENGTHS) for one in units for other in units])


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        ("1", "lb", "kg", "0.45359237"),
        ("1", "lb", "oz", "16"),
        ("1", "oz", "g", "28.349523125"),
        ("2.5", "kg", "g", "2500"),
        ("10", "in", "cm", "25.4"),
        ("0", "kg", "lb", "0"),
    ],
)
def test_the_definitions(value, unit, to, expected):
    assert convert(Decimal(value), unit, to) == Decimal(expected)


@given(SIZES, PAIRS)
def test_there_and_back_is_the_same(value, pair):
    there, back = pair
    assert abs(convert(convert(value, there, back), back, there) - value) <= value * Decimal("1e-24")


@given(SIZES, SIZES, PAIRS)
def test_the_heavier_stays_the_heavier(one, other, pair):
    assert (one < other) == (convert(one, *pair) < convert(other, *pair)) or one == other


@given(SIZES, PAIRS, PAIRS)
def test_a_way_round_leads_to_the_same(value, first, second):
    if first[1] != second[0]:
        return
    direct, round_about = convert(value, first[0], second[1]), convert(convert(value, *first), *second)
    assert abs(direct - round_about) <= direct * Decimal("1e-24")


@given(SIZES, st.integers(min_value=0, max_value=3))
def test_what_is_announced_is_never_less_and_less_than_a_step_more(value, places):
    found = announced(value, places)
    assert value <= found < value + Decimal(1).scaleb(-places)
    assert announced(found, places) == found


@pytest.mark.parametrize(("unit", "to"), [("kg", "cm"), ("in", "lb"), ("stone", "kg"), ("kg", "")])
def test_units_that_do_not_go_together_are_refused(unit, to):
    with pytest.raises(ValueError, match="cannot be turned"):
        convert(Decimal(1), unit, to)
