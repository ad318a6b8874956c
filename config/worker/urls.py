"""Routes of this app's part of the API."""

from django.urls import path

from config.worker.views import WorkStatusViewSet

urlpatterns = [path("celery/status", WorkStatusViewSet.as_view({"get": "retrieve"}), name="celery-status")]
