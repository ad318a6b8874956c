from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shipping", "0004_pickup_of_a_store")]
    # Migration 0027 creates the triggers, because they name columns of it.
    operations = []
