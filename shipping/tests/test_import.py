"""Checkpoints are imported in file order; refused rows are reported, and an interrupted import continues."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from shipping.checkpoints import batches
from shipping.models import Checkpoint, Shipment

pytestmark = pytest.mark.django_db
HEADER = "tracking_id,status,location,description,timestamp\n"


def line(number, status="CREATED", hour=9):
    return f"UNIT-{number:06},{status},Bogotá,Paquete creado,2024-01-15T{hour:02}:00:00Z\n"


@pytest.fixture
def run(tmp_path, merchant):
    def one(text=None, name="scans.csv"):
        file = tmp_path / name
        if text is not None:
            file.write_text(text)
        out = StringIO()
        call_command("import_checkpoints", str(file), merchant="acme", mode="test", stdout=out, stderr=StringIO())
        return out.getvalue()

    return one


def test_csv_file_is_imported_in_order(run):
    text = HEADER + "".join(
        line(number, status, hour) for number in range(3) for hour, status in ((9, "CREATED"), (10, "PICKED_UP"))
    )
    assert "6 stored, 0 existing, 0 refused" in run(text)
    assert Shipment.objects.filter(status="picked_up", checkpoint_count=2).count() == 3
    assert "0 stored, 6 existing, 0 refused" in run(text)


def test_ndjson_file_is_imported(run):
    rows = [dict(zip(HEADER.strip().split(","), line(number).strip().split(","), strict=True)) for number in range(3)]
    assert "3 stored" in run("\n".join(json.dumps(row) for row in rows) + "\n\n", "scans.ndjson")


def test_refused_rows_are_written_to_a_file_with_the_reason(run, tmp_path):
    output = run(HEADER + line(1) + line(2, "DELIVERED") + "123,CREATED,,,never\n" + line(1, "PICKED_UP", 10))
    assert "2 stored, 0 existing, 2 refused" in output
    refused = [json.loads(row) for row in (tmp_path / "scans.csv.refused.ndjson").read_text().splitlines()]
    assert [(row["row"], row["error"]) for row in refused] == [(2, "business_error"), (3, "validation_error")]
    assert refused[1]["given"]["tracking_id"] == "123"
    assert set(refused[1]["details"]) == {"tracking_id", "location", "description", "timestamp"}


def test_interrupted_import_continues(run, tmp_path, monkeypatch):
    monkeypatch.setattr("shipping.management.commands.import_checkpoints._BATCH_SIZE", 10)
    text = HEADER + "".join(line(number) for number in range(35)) + "bad,row,,,\n"
    plain, calls = batches.post, []

    def killed_at_the_third(tenant, chunk):
        calls.append(len(chunk))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(tenant, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(batches, "post", killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            run(text)
    assert Checkpoint.objects.count() == 20
    assert "15 stored, 0 existing, 1 refused" in run()
    assert Checkpoint.objects.count() == 35
    assert not (tmp_path / "scans.csv.progress").exists()


@pytest.mark.parametrize("text", ["tracking_id,status\n", ""])
def test_file_without_the_columns_is_refused(run, text):
    with pytest.raises(CommandError, match="timestamp"):
        run(text)


def test_missing_file_is_named(run):
    with pytest.raises(CommandError, match="nowhere"):
        run(name="nowhere.csv")
