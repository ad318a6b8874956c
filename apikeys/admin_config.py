from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    """Django's admin app with the site of ``apikeys.admin_site``."""

    default_site = "apikeys.admin_site.StaffSite"
