from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    """The admin behind ``apikeys.admin.site``."""

    default_site = "apikeys.admin.site.StaffSite"
