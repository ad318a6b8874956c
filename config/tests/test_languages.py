"""Every message of the API stands in both languages; whoever names none gets the merchant's."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from django.utils import translation

from apikeys.models import Merchant

ROOT = Path(__file__).resolve().parents[2]
APPS = ("apikeys", "carriers", "shipping", "tracking", "webhooks")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|{\w*}")
SPANISH = {"Accept-Language": "es-CO,es;q=0.9"}
CHECKPOINT = {
    "tracking_id": "ESP-000001",
    "status": "CREATED",
    "location": "Medellín, Colombia",
    "description": "Paquete recogido del almacén",
    "timestamp": "2024-01-15T11:30:00Z",
}


def texts(message):
    """One text, or those of a message with a plural."""
    return message if isinstance(message, tuple) else (message,)


@pytest.fixture(scope="module")
def said():
    """Every message of the code that is sent to people: singular and plural."""
    found = set()
    for app in APPS:
        for path, _line, message, _comments, _context in extract_from_dir(ROOT / app, [("**.py", "python")]):
            if "tests/" not in path and "management/" not in path:
                found.add(texts(message))
    return found


@pytest.fixture(scope="module")
def catalogue():
    with (ROOT / "locale/es/LC_MESSAGES/django.po").open("rb") as file:
        return {texts(message.id): message for message in read_po(file, locale="es") if message.id}


def test_no_message_lacks_its_translation_and_no_translation_its_message(said, catalogue):
    assert len(said) > 100
    assert said - set(catalogue) == set()
    assert set(catalogue) - said == set()


def test_none_is_empty_unsure_or_left_in_english(catalogue):
    for message in catalogue.values():
        assert not message.fuzzy, message.id
        assert all(text.strip() for text in texts(message.string)), message.id
        assert message.id != message.string


def test_what_is_filled_in_is_the_same_in_both(catalogue):
    for message in catalogue.values():
        wanted = sorted(PLACEHOLDER.findall(texts(message.id)[0]))
        assert all(sorted(PLACEHOLDER.findall(text)) == wanted for text in texts(message.string)), message.id


def test_the_catalogue_is_compiled():
    with translation.override("es"):
        assert translation.gettext("Tracking ID not found.") == "Tracking ID no encontrado"


@pytest.mark.django_db
class TestTheDocumentsOwnSentences:
    """Word for word, by real requests."""

    def test_a_checkpoint_is_registered(self, api):
        body = api.post("/api/v1/checkpoints", CHECKPOINT, headers=SPANISH).json()
        assert body["message"] == "Checkpoint registrado exitosamente"

    def test_a_checkpoint_with_mistakes(self, api):
        wrong = CHECKPOINT | {"tracking_id": "123", "status": "LOST?"}
        body = api.post("/api/v1/checkpoints", wrong, headers=SPANISH).json()
        assert body["message"] == "Error de validación en los datos"
        assert body["details"]["tracking_id"] == ["Tracking ID debe tener al menos 6 caracteres"]
        known = "CREATED, PICKED_UP, IN_TRANSIT, OUT_FOR_DELIVERY, DELIVERED, EXCEPTION"
        assert body["details"]["status"] == [f"Estado debe ser uno de: {known}"]

    def test_no_key(self, client):
        body = client.get("/api/v1/shipments", headers=SPANISH).json()
        assert (body["error"], body["message"]) == ("invalid_api_key", "API Key inválida o faltante")

    def test_a_unit_that_nobody_knows(self, api):
        body = api.get("/api/v1/tracking/NOBODY-1", headers=SPANISH).json()
        assert (body["error"], body["message"]) == ("tracking_not_found", "Tracking ID no encontrado")

    def test_a_list_of_no_status(self, api):
        body = api.get("/api/v1/shipments", headers=SPANISH, status="GONE").json()
        assert body["message"] == "Estado inválido"
        assert body["details"]["status"][0].startswith("Estado debe ser uno de: CREATED, PICKED_UP, IN_TRANSIT")

    def test_something_breaks(self, api, client, monkeypatch):
        monkeypatch.setattr("shipping.shipments.tracking_views.histories.read_history", lambda *_: 1 / 0)
        client.raise_request_exception = False
        body = api.get("/api/v1/tracking/NOBODY-1", headers=SPANISH).json()
        assert (body["error"], body["message"]) == ("internal_error", "Error interno del servidor")


@pytest.mark.django_db
def test_the_libraries_messages_are_spanish_too(api):
    body = api.post("/api/v1/checkpoints", {}, headers=SPANISH).json()
    assert set(map(tuple, body["details"].values())) == {("Este campo es requerido.",)}


@pytest.mark.django_db
def test_codes_do_not_change_with_the_language(api):
    spanish = api.post("/api/v1/labels", {}, headers=SPANISH).json()
    english = api.post("/api/v1/labels", {}).json()
    assert (spanish["error"], set(spanish["details"])) == (english["error"], set(english["details"]))
    assert spanish["message"] != english["message"]


@pytest.mark.django_db
def test_who_names_no_language_gets_the_merchants(api, merchant):
    Merchant.objects.filter(id=merchant.id).update(language="es")
    answer = api.get("/api/v1/tracking/NOBODY-1")
    assert answer.json()["message"] == "Tracking ID no encontrado"
    assert answer["Content-Language"] == "es"
    asked = api.get("/api/v1/tracking/NOBODY-1", headers={"Accept-Language": "en"})
    assert asked.json()["message"] == "Tracking ID not found."


@pytest.mark.django_db
def test_one_callers_spanish_never_reaches_the_next(api, client, merchant):
    Merchant.objects.filter(id=merchant.id).update(language="es")
    for _ in range(3):
        assert api.get("/api/v1/tracking/NOBODY-1").json()["message"] == "Tracking ID no encontrado"
        assert client.get("/api/v1/shipments").json()["message"] == "API key invalid or missing."
        assert api.get("/api/v1/tracking/NOBODY-1", headers=SPANISH)["Content-Language"] == "es"
        assert client.get("/api/v1/shipments")["Content-Language"] == "en"


@pytest.mark.django_db
@pytest.mark.parametrize("first", ["en", "es"])
def test_no_sentence_stays_in_the_language_of_who_met_it_first(api, client, first):
    def told(language):
        headers = {"Accept-Language": language}
        posted = api.post("/api/v1/checkpoints", CHECKPOINT | {"location": "x" * 201}, headers=headers).json()
        asked = client.get("/next-tracking-number", {"customer_name": "x" * 201}, headers=headers).json()
        return posted["details"]["location"] + asked["details"]["customer_name"] + asked["details"]["weight"]

    languages = [first, "es", "en"]
    sentences = [told(language) for language in languages]
    assert sentences[0] == sentences[languages.index(first, 1)]
    assert not set(sentences[1]) & set(sentences[2])


@pytest.mark.django_db
def test_a_request_that_is_refused_at_the_gate_does_not_speak_the_last_ones_language(api, client, settings):
    api.get("/api/v1/tracking/NOBODY-1", headers=SPANISH)
    settings.MAX_BODY_BYTES = 10
    refused = client.post("/api/v1/checkpoints", CHECKPOINT, content_type="application/json")
    assert refused.status_code == 413
    assert refused.json()["message"] == "The request body is too large."


@pytest.mark.django_db
def test_an_unknown_language_is_english(api):
    body = api.get("/api/v1/tracking/NOBODY-1", headers={"Accept-Language": "tlh"}).json()
    assert body["message"] == "Tracking ID not found."
