from django.db import migrations

from apikeys.db.triggers import CreateTriggers


class Migration(migrations.Migration):
    dependencies = [("shipping", "0004_pickup_of_a_store")]
    operations = [CreateTriggers("shipping.frozen_checkpoints")]
