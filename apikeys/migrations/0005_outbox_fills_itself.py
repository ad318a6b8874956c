from django.db import migrations

from apikeys.db.outbox import self_filling


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0004_events_stay_append_only")]
    operations = [self_filling()]
