"""ZPL labels, read as a printer reads them."""

import re

import pytest
from PIL import Image, ImageChops

from carriers.sandbox.printing import labels
from carriers.sandbox.tests.test_labels import shipment
from carriers.tests.scripts import NAMES, STREETS

COMMAND = re.compile(r"[\^~]([A-Z][A-Z0-9@])([^\^~]*)", re.DOTALL)


def commands(one, size="4x6"):
    return [(name, value.strip()) for name, value in COMMAND.findall(labels.draw(one, "ZPL", size).decode())]


def numbers(value):
    return [int(number) for number in value.split(",")[:3] if number.isdigit()]


def boxes(one, size="4x6"):
    """Return the left, top, right and bottom of each text and picture, in dots, with its lines or picture."""
    found, left, top, dots, block = [], 0, 0, 0, []
    for name, value in commands(one, size):
        if name == "FO":
            left, top = numbers(value)
            block = []
        elif name == "A0":
            dots = int(value.split(",")[1])
        elif name == "FB":
            block = numbers(value)
        elif name == "FD" and block:
            lines = [re.sub("_(..)", lambda code: chr(int(code[1], 16)), line) for line in value.split(r"\&")]
            width, most, gap = block if len(block) == 3 else (*block, 0)
            assert len(lines) <= most
            # No letter of the printer's font is wider than it is high, and on average half of that.
            assert max(map(len, lines)) * dots * 0.4 <= width
            found.append((left, top, left + width, top + most * (dots + gap) - gap, lines))
        elif name == "GF":
            _, size_, total, row, data = value.split(",")
            assert int(size_) == int(total) == len(data) // 2
            picture = Image.frombytes("1", (int(row) * 8, int(total) // int(row)), bytes.fromhex(data))
            found.append((left, top, left + picture.width, top + picture.height, picture))
    return found


def lines(one):
    return [line for *_, drawn in boxes(one) if isinstance(drawn, list) for line in drawn]


def test_zpl_has_one_label_per_package_and_escapes_commands():
    one = shipment(packages=2)
    one["destination"] |= {"street": r"1 ^XZ~JA Street_ \&", "contact_name": "Jane^FS^XZ"}
    text = labels.draw(one, "ZPL", "4x6").decode()
    assert text.count("^XA") == text.count("^XZ") == text.count("^CI28") == 2
    assert "~" not in text
    assert "^PW812\n^LL1218" in text
    assert text.count("^BCN,170,Y,N,N^FDPKT-1234567890^FS") == 2
    assert "1 _5EXZ_7EJA Street_5F" in text
    assert r"1 ^XZ~JA Street_ \\&" in lines(one)
    assert "Jane^FS^XZ" in lines(one)


def test_every_label_says_test():
    assert {"TEST LABEL - DO NOT SHIP", "TEST PICKIT STANDARD 1 of 1"} <= set(lines(shipment()))


@pytest.mark.parametrize("size", ["4x6", "A6"])
@pytest.mark.parametrize(
    "street",
    ["456 Warehouse Ave", "Calle " + "palabra " * 40, "W" * 255, "一丁目" * 60, "ถนนสุขุมวิท" * 25, "very long " * 300],
)
def test_texts_lie_below_each_other_on_the_label(street, size):
    address = shipment()["destination"] | {"street": street, "company": "Company " * 8, "country": "JP"}
    one = shipment(destination=address, origin=address)
    width, height = {"4x6": (812, 1218), "A6": (839, 1184)}[size]
    bottom = 75
    for left, top, right, end, _ in boxes(one, size)[1:]:
        assert left >= 0
        assert right <= width + 7
        assert top >= bottom
        bottom = end
    assert bottom <= height - 250 + 10


def test_other_scripts_are_drawn_as_pictures():
    for country, name in list(NAMES.items())[4:]:
        first, other = (
            next(
                drawn
                for *_, drawn in boxes(shipment(destination={"country": country, "city": "X", "contact_name": text}))
                if isinstance(drawn, Image.Image)
            )
            for text in (name, name[1] + name[1:])
        )
        assert first.getbbox(), name
        assert ImageChops.difference(first.convert("L"), other.convert("L")).getbbox(), name
    one = shipment(destination={"country": "JP", "city": "東京", "street": STREETS["JP"], "contact_name": NAMES["JP"]})
    assert {f"{STREETS['JP']}", NAMES["JP"]} <= {value for name, value in commands(one) if name == "FX"}
