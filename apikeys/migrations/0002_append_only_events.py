from django.db import migrations

from apikeys.db.triggers import CreateTriggers


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0001_initial")]
    operations = [CreateTriggers("apikeys.append_only_events")]
