"""The OpenAPI document describes what all operations share: errors, security, scopes and bounds."""

import pytest
import yaml

from apikeys.api.schema import ERROR_STATUSES

pytestmark = [pytest.mark.django_db, pytest.mark.once]

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def document(client):
    response = client.get("/api/schema/")
    assert response.status_code == 200
    return yaml.load(response.content, yaml.CSafeLoader)


def test_document_describes_all_operations_once_with_errors_scopes_and_security(document):
    operations = {
        (method, path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }
    assert len(operations) > 50
    names = [operation["operationId"] for operation in operations.values()]
    assert len(names) == len(set(names))
    assert not [path for path in document["paths"] if path.startswith("/api/week3-integrations/")]
    for where, operation in operations.items():
        assert set(ERROR_STATUSES) <= set(operation["responses"]), where
        assert not _named_twice(operation), where
    schemes = document["components"]["securitySchemes"]
    assert schemes["ApiKey"] == {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    assert schemes["Bearer"]["scheme"] == "bearer"
    label = operations["post", "/api/v1/labels"]
    assert "Needs the scope `shipments:write`." in label["description"]
    assert {name for way in label["security"] for name in way} == {"ApiKey", "Bearer"}
    # API keys cannot have the scope members:manage.
    assert operations["get", "/api/v1/members"]["security"] == [{"Bearer": []}]
    assert "Idempotency-Key" in [parameter["name"] for parameter in label["parameters"]]
    assert "parameters" not in operations["get", "/health"]


def _named_twice(operation):
    names = [parameter["name"] for parameter in operation.get("parameters", [])]
    return len(names) != len(set(names))


def test_document_states_the_bounds_that_fields_validate(document):
    components = document["components"]["schemas"]
    requests = {name: schema.get("properties", {}) for name, schema in components.items() if name.endswith("Request")}
    weights = [fields["weight_kg"] for fields in requests.values() if "weight_kg" in fields]
    assert weights
    for weight in weights:
        assert weight["multipleOf"] == 0.001
        assert 0 <= weight["minimum"] < weight["maximum"]
        assert not {"exclusiveMinimum", "exclusiveMaximum"} & set(weight)
    packages = [fields["packages"] for fields in requests.values() if "packages" in fields]
    assert packages
    assert all(one["minItems"] >= 1 and one["maxItems"] for one in packages)


def test_document_and_its_page_are_public_and_can_only_be_read(client):
    schema = client.get("/api/schema/")
    assert schema["Content-Type"] == "application/vnd.oai.openapi"
    page = client.get("/api/docs/")
    assert page.status_code == 200
    assert "/api/schema/" in page.content.decode()
    for path in ("/api/schema/", "/api/docs/"):
        response = client.post(path)
        assert (response.status_code, response.json()["error"]) == (405, "method_not_allowed")
        assert "POST" not in response["Allow"]


def test_examples_of_answers_have_the_documented_fields(document):
    checked = 0
    for path, item in document["paths"].items():
        for operation in item.values():
            content = operation.get("responses", {}).get("200", {}).get("content", {}).get("application/json", {})
            for example in content.get("examples", {}).values():
                assert not _differences(example["value"], content["schema"], document), path
                checked += 1
    assert checked >= 5


def _differences(value, schema, document):
    """Return the required fields that an example lacks, and those that the document does not have."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        return [one for item in value for one in _differences(item, schema.get("items", {}), document)]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    found = [f"no {name}" for name in schema.get("required", ()) if name not in value]
    for name, inner in value.items():
        known = schema["properties"].get(name)
        found += [f"unknown {name}"] if known is None else _differences(inner, known, document)
    return found
