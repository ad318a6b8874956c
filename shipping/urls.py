"""Routes of the shipping part of the API; neutral paths, and the documented ones of each carrier as aliases."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from carriers.api import converters  # noqa: F401 registers "carrier" for paths
from shipping.reports import views as report_views
from shipping import views

router = SimpleRouter(trailing_slash=False)
router.register("quotes", views.QuoteViewSet, basename="quote")
router.register("labels", views.LabelViewSet, basename="label")
router.register("shipments", views.ShipmentViewSet, basename="shipment")
router.register("checkpoints", views.CheckpointViewSet, basename="checkpoint")

cancel = views.ShipmentViewSet.as_view({"post": "cancel"})
proof_of_delivery = views.ShipmentViewSet.as_view({"get": "proof_of_delivery", "post": "proof_of_delivery"})
warehouse = views.WarehouseViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"})

urlpatterns = [
    path("", include(router.urls)),
    path("tracking", views.TrackingViewSet.as_view({"post": "read"}), name="tracking"),
    path("tracking/<str:name>", views.TrackingViewSet.as_view({"get": "retrieve"}), name="history"),
    path("warehouses", views.WarehouseViewSet.as_view({"get": "list", "post": "create"}), name="warehouses"),
    path("warehouses/<uuid:warehouse_id>", warehouse, name="warehouse"),
    path(
        "warehouses/<uuid:warehouse_id>/registrations",
        views.WarehouseViewSet.as_view({"post": "register"}),
        name="warehouse-registrations",
    ),
    path("returns", views.ReturnViewSet.as_view({"post": "create"}), name="returns"),
    path("serviceability", views.ServiceabilityViewSet.as_view({"post": "ask"}), name="serviceability"),
    path("metrics/business", report_views.BusinessMetricsViewSet.as_view({"get": "retrieve"}), name="business-metrics"),
    path("analytics/performance", report_views.PerformanceViewSet.as_view({"get": "retrieve"}), name="performance"),
    path("pickups", views.PickupViewSet.as_view({"get": "list", "post": "create"}), name="pickups"),
    path("pickups/<str:pickup>", views.PickupViewSet.as_view({"get": "retrieve"}), name="pickup"),
    path("pickups/<str:pickup>/cancel", views.PickupViewSet.as_view({"post": "cancel"}), name="pickup-cancel"),
    path("<carrier:carrier>/shipments/<str:name>/cancel", cancel, name="carrier-cancel"),
    path("<carrier:carrier>/shipments/<str:name>/proof-of-delivery", proof_of_delivery, name="carrier-proof"),
]
