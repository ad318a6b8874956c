import apikeys.db.crypto
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('apikeys', '0007_mute_warnings'),
        ('carriers', '0010_accounts_without_fields'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='breaker',
            options={'ordering': ['-updated_at'], 'verbose_name': 'circuit breaker'},
        ),
        migrations.AlterModelOptions(
            name='callbudget',
            options={'verbose_name': 'carrier rate'},
        ),
        migrations.AlterModelOptions(
            name='pointanswer',
            options={'verbose_name': 'pickup point answer'},
        ),
        migrations.AlterField(
            model_name='breaker',
            name='failures',
            field=models.PositiveIntegerField(default=0, help_text='Consecutive failures.'),
        ),
        migrations.AlterField(
            model_name='callbudget',
            name='full_at',
            field=models.BigIntegerField(help_text='Time at which the bucket is full again, in microseconds since 1970.'),
        ),
        migrations.AlterField(
            model_name='carriercall',
            name='subject_id',
            field=models.UUIDField(help_text='The shipment or pickup that the call was for.', null=True),
        ),
        migrations.AlterField(
            model_name='credential',
            name='account_since',
            field=models.DateTimeField(editable=False, help_text='When the credential last changed to another login at the carrier.', null=True),
        ),
        migrations.AlterField(
            model_name='credential',
            name='fields',
            field=apikeys.db.crypto.EncryptedField(editable=False, help_text="Values of the adapter's credential fields.", null=True),
        ),
        migrations.AlterField(
            model_name='credential',
            name='is_open',
            field=models.BooleanField(default=True, help_text="For the platform's credential: merchants without their own may use it."),
        ),
        migrations.AlterField(
            model_name='credential',
            name='last_test',
            field=models.JSONField(blank=True, editable=False, help_text='Result of the last test login.', null=True),
        ),
        migrations.AlterField(
            model_name='credential',
            name='merchant',
            field=models.ForeignKey(blank=True, help_text="Empty for the platform's credential.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='apikeys.merchant'),
        ),
        migrations.AlterField(
            model_name='credential',
            name='refused_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='Time since which the carrier has refused the login.', null=True),
        ),
        migrations.AlterField(
            model_name='credential',
            name='replaced',
            field=models.JSONField(editable=False, help_text='Digests of replaced secrets.', null=True),
        ),
        migrations.AlterField(
            model_name='credential',
            name='token_used_at',
            field=models.DateTimeField(editable=False, help_text='Updated once an hour.', null=True),
        ),
        migrations.AlterField(
            model_name='pointanswer',
            name='key',
            field=models.CharField(help_text='Digest of the credential and the query.', max_length=64),
        ),
        migrations.AlterField(
            model_name='pointanswer',
            name='refresh_at',
            field=models.DateTimeField(help_text='When the worker refreshes it; set when an old answer is used.', null=True),
        ),
    ]
