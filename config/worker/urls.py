"""Route of the status endpoint, on the documented path."""

from django.urls import path

from config.worker.views import WorkStatusViewSet

urlpatterns = [path("celery/status", WorkStatusViewSet.as_view({"get": "retrieve"}), name="celery-status")]
