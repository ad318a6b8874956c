from django.db import migrations


class Migration(migrations.Migration):
    """The triggers need the column ``position``; the end of ``migrate`` creates them."""

    dependencies = [("apikeys", "0003_door")]
    operations = []
