"""Drop the table of labels: documents have copies of them."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shipping", "0033_copy_labels")]

    operations = [migrations.DeleteModel("Label")]
