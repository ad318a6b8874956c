from django.db import migrations

COLUMNS = (
    "token",
    "token_expires_at",
    "token_fetched_at",
    "token_used_at",
    "token_lease_until",
    "token_fence",
    "login_after",
)


class Migration(migrations.Migration):

    dependencies = [
        ("carriers", "0014_credential_tokens"),
    ]

    operations = [migrations.RemoveField(model_name="credential", name=name) for name in COLUMNS]
