"""Checkpoints are imported in file order; refused rows are reported, and an interrupted import continues."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apikeys.files import tables
from apikeys.models import Merchant
from shipping.checkpoints import batches, importing
from shipping.models import Checkpoint, Shipment

pytestmark = pytest.mark.django_db
HEADER = "tracking_id,status,location,description,timestamp\n"


def line(number, status="CREATED", hour=9):
    return f"UNIT-{number:06},{status},Bogotá,Paquete creado,2024-01-15T{hour:02}:00:00Z\n"


@pytest.fixture
def run(tmp_path, merchant):
    def one(text=None, name="scans.csv", **options):
        """Return what the command prints; a refusal of rows is added to it."""
        file, out = tmp_path / name, StringIO()
        if text is not None:
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
        options = {"merchant": "acme", "mode": "test"} | options
        try:
            call_command("import_checkpoints", str(file), stdout=out, stderr=out, **options)
        except CommandError as error:
            if "; see " not in str(error):
                raise
            out.write(f"exit 1: {error}")
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


def read_refused(tmp_path, name="scans.csv.refused.ndjson"):
    return [json.loads(row) for row in (tmp_path / name).read_text().splitlines()]


def test_refused_rows_are_written_to_a_file_with_the_reason(run, tmp_path):
    output = run(HEADER + line(1) + line(2, "DELIVERED") + "123,CREATED,,,never\n" + line(1, "PICKED_UP", 10))
    assert "exit 1: 2 stored, 0 existing, 2 refused" in output
    assert "row 4, timestamp 'never': An ISO 8601 date" in output
    refused = read_refused(tmp_path)
    assert [(row["row"], row["error"]) for row in refused] == [(3, "business_error"), (4, "validation_error")]
    assert refused[1]["given"]["tracking_id"] == "123"
    assert set(refused[1]["details"]) == {"tracking_id", "location", "description", "timestamp"}


def test_later_rows_of_a_unit_wait_for_its_refused_row(run, tmp_path):
    bad = line(1, "IN_TRANSIT", 11).replace("2024-01-15", "15/01/2024")
    start = HEADER + line(1) + line(1, "PICKED_UP", 10)
    output = run(start + bad + line(1, "IN_TRANSIT", 12).lower() + line(2))
    assert "row 5, tracking_id 'unit-000001': Row 4 of the same unit was refused" in output
    assert "exit 1: 3 stored, 0 existing, 2 refused" in output
    output = run(start + line(1, "IN_TRANSIT", 11) + line(1, "IN_TRANSIT", 12) + line(2))
    assert "2 stored, 3 existing, 0 refused" in output
    assert not (tmp_path / "scans.csv.refused.ndjson").exists()


def test_dry_run_stores_nothing(run, tmp_path):
    output = run(HEADER + line(1) + line(2, "SENT") + line(3), dry_run=True)
    assert "exit 1: 2 can be stored, 1 refused" in output
    assert [row["row"] for row in read_refused(tmp_path, "scans.csv.dry-run.ndjson")] == [3]
    assert "2 can be stored, 0 refused" in run(HEADER + line(1) + line(3), dry_run=True)
    assert not Checkpoint.objects.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["scans.csv"]


def test_interrupted_import_continues(run, tmp_path, monkeypatch):
    monkeypatch.setattr("shipping.management.commands.import_checkpoints._BATCH_SIZE", 10)
    text = HEADER + "".join(line(number) for number in range(35)) + "bad,row,,,\n"
    plain, calls = batches.store, []

    def killed_at_the_third(tenant, chunk):
        calls.append(len(chunk))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(tenant, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(batches, "store", killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            run(text)
    assert Checkpoint.objects.count() == 20
    position = (tmp_path / "scans.csv.progress").read_text()
    Merchant.objects.create(name="Other", slug="other")
    # Another merchant's import and a changed file start from the beginning.
    assert "35 stored, 0 existing, 1 refused" in run(merchant="other")
    (tmp_path / "scans.csv.progress").write_text(position)
    assert "15 stored, 0 existing, 1 refused" in run()
    assert Checkpoint.objects.filter(merchant__slug="acme").count() == 35
    assert not (tmp_path / "scans.csv.progress").exists()
    (tmp_path / "scans.csv.progress").write_text(position)
    assert "1 stored, 35 existing, 0 refused" in run(text.replace("bad,row,,,", "") + line(35))


def test_interrupted_import_keeps_its_refused_rows(run, tmp_path, monkeypatch):
    monkeypatch.setattr("shipping.management.commands.import_checkpoints._BATCH_SIZE", 1)
    plain = batches.store

    def killed_at_the_second(tenant, chunk):
        if getattr(chunk[0], "tracking_id", "") == "UNIT-000002":
            raise KeyboardInterrupt
        return plain(tenant, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(batches, "store", killed_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            run(HEADER + line(1).replace("2024", "24") + line(2) + line(1))
    assert "exit 1: 1 stored, 0 existing, 1 refused" in run()
    assert [row["row"] for row in read_refused(tmp_path)] == [2, 4]


def test_killed_import_continues_after_its_last_complete_batch(run, tmp_path, monkeypatch):
    """The process was killed after it had stored a batch and written a part of the report, before the position."""
    monkeypatch.setattr("shipping.management.commands.import_checkpoints._BATCH_SIZE", 2)
    plain, positions = importing.Progress.write, []

    def killed_at_the_second(progress, rows, refused):
        positions.append(rows)
        if len(positions) == 2:
            with refused.open("a") as report:
                report.write('{"row": 5, "given": {"trac')
            raise KeyboardInterrupt
        plain(progress, rows, refused)

    bad = line(2).replace("2024", "24")
    with monkeypatch.context() as patch:
        patch.setattr(importing.Progress, "write", killed_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            run(HEADER + line(1) + bad + line(3) + line(3, "SENT") + line(4))
    assert "exit 1: 1 stored, 1 existing, 1 refused" in run()
    assert [row["row"] for row in read_refused(tmp_path)] == [3, 5]


def test_line_that_is_too_long_costs_only_itself(run, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_MAX_LINE", 200_000)
    for long in ("x" * 450_000, "x" * 200_000, "x" * 199_900 + '","' * 3):
        text = HEADER + line(1) + line(2).replace("Paquete creado", long) + line(3)
        assert "exit 1" in run(text)
        assert [row["row"] for row in read_refused(tmp_path)] == [3]
        rows = [{"tracking_id": "UNIT-000004", "note": long}, {"tracking_id": "UNIT-000005"}]
        assert "2 refused" in run("\n".join(json.dumps(row) for row in rows), "scans.ndjson")
        assert [row["row"] for row in read_refused(tmp_path, "scans.ndjson.refused.ndjson")] == [1, 2]
    assert Shipment.objects.count() == 2


UNUSABLE = {
    "tracking_id,status\n": "columns tracking_id, .*, timestamp; missing: location, description, timestamp",
    "": "empty",
    "PK\x03\x04": "workbook",
    '[{"tracking_id": "U"}]': "array",
    HEADER.replace("status", "Tracking ID"): "missing: status",
    HEADER.replace("\n", ",TIMESTAMP\n"): "twice: timestamp",
    (HEADER + line(1)).encode("cp1252"): r"not UTF-8: line 2: .*Bogot\\xe1",
}


def test_unusable_file_is_refused_with_the_reason(run, tmp_path):
    for text, reason in UNUSABLE.items():
        with pytest.raises(CommandError, match=reason):
            run(text)
    with pytest.raises(CommandError, match="no time zone"):
        run(HEADER + line(1), zone="Bogota")
    assert [file.name for file in tmp_path.iterdir()] == ["scans.csv"]
    assert not Checkpoint.objects.exists()


def test_missing_file_is_named(run):
    with pytest.raises(CommandError, match="nowhere"):
        run(name="nowhere.csv")
