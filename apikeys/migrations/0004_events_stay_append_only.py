from django.db import migrations

from apikeys.db.append_only import append_only


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0003_door")]
    operations = [append_only("apikeys_event")]
