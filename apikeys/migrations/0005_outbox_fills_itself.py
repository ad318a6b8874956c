from django.db import migrations

from apikeys.db.triggers import CreateTriggers


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0004_events_stay_append_only")]
    operations = [CreateTriggers("apikeys.outbox")]
