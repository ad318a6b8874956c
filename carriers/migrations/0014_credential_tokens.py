"""Give access tokens rows of their own, one of each kind, and keep the stored ones.

A stored token is bound to its row and column, so it is encrypted again for its new row.
"""

import logging

import django.db.models.deletion
from django.db import migrations, models

import apikeys.db.crypto
import apikeys.db.tenancy

log = logging.getLogger(__name__)


def copy_tokens(apps, schema_editor):
    credentials = apps.get_model("carriers", "Credential").objects
    tokens = apps.get_model("carriers", "CredentialToken").objects
    with_token = models.Q(token__isnull=False) | models.Q(refusal__isnull=False)
    for row in credentials.filter(with_token).defer("fields").iterator(chunk_size=200):
        try:
            token = row.token
        except apikeys.db.crypto.Undecryptable:
            log.warning("stored token not readable", extra={"credential": str(row.id)})
            token = None
        tokens.create(
            credential_id=row.id,
            kind="main",
            token=token,
            expires_at=row.token_expires_at if token else None,
            fetched_at=row.token_fetched_at if token else None,
            used_at=row.token_used_at,
            refusal=row.refusal,
            login_after=row.login_after,
        )


class Migration(migrations.Migration):

    dependencies = [
        ("carriers", "0013_call_log_of_merchants"),
    ]

    operations = [
        migrations.CreateModel(
            name="CredentialToken",
            fields=[
                ("id", models.UUIDField(default=apikeys.db.tenancy.new_id, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(default="main", max_length=20)),
                ("token", apikeys.db.crypto.EncryptedField(blank=True, editable=False, null=True)),
                ("expires_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("fetched_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("used_at", models.DateTimeField(editable=False, help_text="Updated once an hour.", null=True)),
                (
                    "refusal",
                    models.CharField(
                        blank=True,
                        editable=False,
                        help_text="Code and message of the refused login.",
                        max_length=200,
                        null=True,
                    ),
                ),
                ("login_after", models.DateTimeField(editable=False, null=True)),
                ("lease_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("fence", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "credential",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tokens", to="carriers.credential"
                    ),
                ),
            ],
            options={
                "verbose_name": "access token",
                "constraints": [models.UniqueConstraint(fields=("credential", "kind"), name="one_token")],
                "indexes": [models.Index(fields=["kind", "id"], name="token_by_kind")],
            },
        ),
        migrations.RunPython(copy_tokens, migrations.RunPython.noop),
    ]
