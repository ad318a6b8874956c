from django.db import migrations

from apikeys.db.triggers import CreateTriggers


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0003_door")]
    operations = [CreateTriggers("apikeys.append_only_events")]
