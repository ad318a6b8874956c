"""Every message of the API is translated; without Accept-Language the merchant's language is used."""

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
    """Return the texts of a message: one, or two with a plural."""
    return message if isinstance(message, tuple) else (message,)


@pytest.fixture(scope="module")
def source_messages():
    """All translatable messages of the code."""
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


def test_messages_and_translations_match(source_messages, catalogue):
    assert len(source_messages) > 100
    assert source_messages - set(catalogue) == set()
    assert set(catalogue) - source_messages == set()


def test_no_translation_is_empty_fuzzy_or_untranslated(catalogue):
    for message in catalogue.values():
        assert not message.fuzzy, message.id
        assert all(text.strip() for text in texts(message.string)), message.id
        assert message.id != message.string


def test_placeholders_match(catalogue):
    for message in catalogue.values():
        wanted = sorted(PLACEHOLDER.findall(texts(message.id)[0]))
        assert all(sorted(PLACEHOLDER.findall(text)) == wanted for text in texts(message.string)), message.id


def test_catalogue_is_compiled():
    with translation.override("es"):
        assert translation.gettext("Tracking ID not found.") == "Tracking ID no encontrado"


@pytest.mark.django_db
class TestDocumentedMessages:
    """The Spanish messages of the document, word for word."""

    def test_registered_checkpoint(self, api):
        body = api.post("/api/v1/checkpoints", CHECKPOINT, headers=SPANISH).json()
        assert body["message"] == "Checkpoint registrado exitosamente"

    def test_invalid_checkpoint(self, api):
        wrong = CHECKPOINT | {"tracking_id": "123", "status": "LOST?"}
        body = api.post("/api/v1/checkpoints", wrong, headers=SPANISH).json()
        assert body["message"] == "Error de validación en los datos"
        assert body["details"]["tracking_id"] == ["Tracking ID debe tener al menos 6 caracteres"]
        known = "CREATED, PICKED_UP, IN_TRANSIT, OUT_FOR_DELIVERY, DELIVERED, EXCEPTION"
        assert body["details"]["status"] == [f"Estado debe ser uno de: {known}"]

    def test_missing_key(self, client):
        body = client.get("/api/v1/shipments", headers=SPANISH).json()
        assert (body["error"], body["message"]) == ("invalid_api_key", "API Key inválida o faltante")

    def test_unknown_unit(self, api):
        body = api.get("/api/v1/tracking/NOBODY-1", headers=SPANISH).json()
        assert (body["error"], body["message"]) == ("tracking_not_found", "Tracking ID no encontrado")

    def test_list_of_an_unknown_status(self, api):
        body = api.get("/api/v1/shipments", headers=SPANISH, status="GONE").json()
        assert body["message"] == "Estado inválido"
        assert body["details"]["status"][0].startswith("Estado debe ser uno de: CREATED, PICKED_UP, IN_TRANSIT")

    def test_internal_error(self, api, client, monkeypatch):
        monkeypatch.setattr("shipping.shipments.tracking_views.histories.read_history", lambda *_: 1 / 0)
        client.raise_request_exception = False
        body = api.get("/api/v1/tracking/NOBODY-1", headers=SPANISH).json()
        assert (body["error"], body["message"]) == ("internal_error", "Error interno del servidor")


@pytest.mark.django_db
def test_messages_of_libraries_are_translated(api):
    body = api.post("/api/v1/checkpoints", {}, headers=SPANISH).json()
    assert set(map(tuple, body["details"].values())) == {("Este campo es requerido.",)}


@pytest.mark.django_db
def test_codes_do_not_change_with_the_language(api):
    spanish = api.post("/api/v1/labels", {}, headers=SPANISH).json()
    english = api.post("/api/v1/labels", {}).json()
    assert (spanish["error"], set(spanish["details"])) == (english["error"], set(english["details"]))
    assert spanish["message"] != english["message"]


@pytest.mark.django_db
def test_default_is_the_merchants_language(api, merchant):
    Merchant.objects.filter(id=merchant.id).update(language="es")
    answer = api.get("/api/v1/tracking/NOBODY-1")
    assert answer.json()["message"] == "Tracking ID no encontrado"
    assert answer["Content-Language"] == "es"
    asked = api.get("/api/v1/tracking/NOBODY-1", headers={"Accept-Language": "en"})
    assert asked.json()["message"] == "Tracking ID not found."


@pytest.mark.django_db
def test_language_of_a_request_does_not_affect_the_next(api, client, merchant):
    Merchant.objects.filter(id=merchant.id).update(language="es")
    for _ in range(3):
        assert api.get("/api/v1/tracking/NOBODY-1").json()["message"] == "Tracking ID no encontrado"
        assert client.get("/api/v1/shipments").json()["message"] == "API key invalid or missing."
        assert api.get("/api/v1/tracking/NOBODY-1", headers=SPANISH)["Content-Language"] == "es"
        assert client.get("/api/v1/shipments")["Content-Language"] == "en"


@pytest.mark.django_db
@pytest.mark.parametrize("first", ["en", "es"])
def test_messages_are_not_cached_in_the_language_of_the_first_request(api, client, first):
    def messages(language):
        headers = {"Accept-Language": language}
        posted = api.post("/api/v1/checkpoints", CHECKPOINT | {"location": "x" * 201}, headers=headers).json()
        asked = client.get("/next-tracking-number", {"customer_name": "x" * 201}, headers=headers).json()
        return posted["details"]["location"] + asked["details"]["customer_name"] + asked["details"]["weight"]

    languages = [first, "es", "en"]
    sentences = [messages(language) for language in languages]
    assert sentences[0] == sentences[languages.index(first, 1)]
    assert not set(sentences[1]) & set(sentences[2])


@pytest.mark.django_db
def test_request_refused_by_middleware_does_not_use_the_last_language(api, client, settings):
    api.get("/api/v1/tracking/NOBODY-1", headers=SPANISH)
    settings.MAX_BODY_BYTES = 10
    refused = client.post("/api/v1/checkpoints", CHECKPOINT, content_type="application/json")
    assert refused.status_code == 413
    assert refused.json()["message"] == "The request body is too large."


@pytest.mark.django_db
def test_unknown_language_falls_back_to_english(api):
    body = api.get("/api/v1/tracking/NOBODY-1", headers={"Accept-Language": "tlh"}).json()
    assert body["message"] == "Tracking ID not found."
