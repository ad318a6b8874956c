from django.db import migrations

from shipping.models.frozen import frozen


class Migration(migrations.Migration):
    dependencies = [("shipping", "0004_pickup_of_a_store")]
    operations = [frozen()]
