from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    """The admin behind ``apikeys.admin_site``."""

    default_site = "apikeys.admin_site.StaffSite"
