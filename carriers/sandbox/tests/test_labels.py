"""Labels: their contents, sizes, and barcodes that a scanner reads."""

import io
import random

import pypdfium2
import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from carriers.sandbox.printing import labels
from carriers.sandbox.velocity import manifests
from carriers.tests.scripts import NAMES, STREETS

DPI = 203


def shipment(number="PKT-1234567890", packages=1, **changes):
    address = {"company": "My Store", "street": "456 Warehouse Ave", "city": "Brooklyn", "postal_code": "11201"}
    return {
        "tracking_number": number,
        "service_type": "standard",
        "reference": "WB0123456789ABCDEF0123456",
        "order_id": "ORDER-001",
        "packages": [{"weight_kg": 2.5}] * packages,
        "origin": address | {"country": "US", "state": "NY"},
        "destination": address | {"country": "US", "contact_name": "Jane Smith", "postal_code": "10001"},
        "pickup_code": "PICKUP-123456",
        "pickup_point": {"id": "PP-12345", "name": "Downtown Locker Station", "address": "123 Main St, New York"},
    } | changes


def pages(one):
    return list(pypdfium2.PdfDocument(labels.draw_pdf(one)))


def text(one):
    return "\n".join(page.get_textpage().get_text_range() for page in pages(one))


def scanned(page):
    image = page.render(scale=DPI / 72).to_pil()
    return [(code.format, code.text) for code in zxingcpp.read_barcodes(image)]


@pytest.mark.parametrize("number", [f"PKT-{random.Random(seed).randrange(10**10):010}" for seed in range(12)])
def test_scanner_reads_the_tracking_number(number):
    assert scanned(pages(shipment(number))[0]) == [(zxingcpp.BarcodeFormat.Code128, number)]


def test_each_package_has_a_numbered_page():
    found = pages(shipment(packages=3))
    assert len(found) == 3
    for number, page in enumerate(found, start=1):
        assert f"{number} of 3" in page.get_textpage().get_text_range()
        assert scanned(page)


def test_page_is_four_by_six_inches():
    assert pages(shipment())[0].get_size() == (4 * 72, 6 * 72)


def test_label_shows_all_facts():
    content = text(shipment())
    for expected in (
        "My Store",
        "Jane Smith",
        "456 Warehouse Ave",
        "STANDARD",
        "2.5 kg",
        "WB0123456789ABCDEF0123456",
        "ORDER-001",
        "US-100-08",
        "PICKUP-123456",
        "Downtown Locker Station",
        "PKT-1234567890",
    ):
        assert expected in content


@pytest.mark.parametrize("name", ["Łódź Ærøskøbing", "Medellín Ñuñoa", "Müller Straße", "Αθήνα", "Київ", "İstanbul Ş"])
def test_european_letters_are_drawn(name):
    assert name in text(shipment(destination=shipment()["destination"] | {"contact_name": name}))


lines = st.text(st.characters(categories=["L", "N", "P", "Zs"], max_codepoint=0x24F), min_size=1, max_size=200)


@settings(max_examples=25, deadline=None)
@given(street=lines, name=lines, city=lines)
def test_barcode_is_readable_with_addresses_of_any_length(street, name, city):
    address = {"street": street, "contact_name": name, "city": city, "country": "CO", "postal_code": "050001"}
    page = pages(shipment(destination=address, origin=address))[0]
    assert (zxingcpp.BarcodeFormat.Code128, "PKT-1234567890") in scanned(page)


def test_long_address_is_drawn_completely():
    street = "Calle " + " ".join(f"word{number}" for number in range(20)) + " last-word"
    content = text(shipment(destination=shipment()["destination"] | {"street": street}))
    assert "last-word" in content
    assert "…" not in content


@pytest.mark.parametrize(("size", "points"), [("4x6", (288, 432)), ("A4", (595, 842)), ("A6", (298, 420))])
def test_barcode_is_readable_in_every_size_as_pdf_and_png(size, points):
    one = shipment(packages=2)
    found = list(pypdfium2.PdfDocument(labels.draw(one, "PDF", size)))
    assert [tuple(round(side) for side in page.get_size()) for page in found] == [points] * 2
    expected = [(zxingcpp.BarcodeFormat.Code128, "PKT-1234567890")]
    assert scanned(found[1]) == expected
    picture = Image.open(io.BytesIO(labels.draw(one, "PNG", size)))
    assert picture.mode == "1"
    assert abs(picture.width - points[0] / 72 * DPI) < 2
    assert [(code.format, code.text) for code in zxingcpp.read_barcodes(picture.convert("L"))] == expected * 2


def test_pdf_and_png_show_the_recipient_in_the_script_given():
    blank = shipment(destination={"country": "JP", "city": " "})
    for country in ("JP", "AE", "IN"):
        name = NAMES[country]
        destination = {"country": country, "contact_name": name, "street": STREETS.get(country), "city": " "}
        one = shipment(destination=destination)
        for word in name.replace("\u200c", " ").split():
            assert word in text(one)
        other = shipment(destination=destination | {"contact_name": name[1] + name[1:]})
        pictures = [Image.open(io.BytesIO(labels.draw_png(each))) for each in (one, other, blank)]
        assert len({picture.tobytes() for picture in pictures}) == 3


def test_label_without_the_letters_of_a_name_says_so():
    content = text(shipment(destination=shipment()["destination"] | {"contact_name": "ភ្នំពេញ 7"}))
    assert "* phnampenh 7" in content
    assert "In Latin letters" in content
    assert "In Latin letters" not in text(shipment())


def test_every_label_and_manifest_says_test():
    for size in ("4x6", "A4", "A6"):
        content = pypdfium2.PdfDocument(labels.draw(shipment(), "PDF", size))[0].get_textpage().get_text_range()
        assert "TEST LABEL - DO NOT SHIP" in content
        assert "TEST PICKIT STANDARD" in content
    one = shipment()
    manifest = manifests.draw_pdf(one | {"destination": one["destination"] | {"city": "दिल्ली"}}, carrier="Velocity")
    content = pypdfium2.PdfDocument(manifest)[0].get_textpage().get_text_range()
    assert "TEST LABEL - DO NOT SHIP" in content
    assert "दिल्ली 10001" in content


def test_address_without_postal_code_has_a_routing_code():
    address = {"country": "HK", "city": "Kowloon", "contact_name": "陳大文"}
    assert "Routing HK-07" in text(shipment(destination=address))
