"""URLs of the shipping API: carrier-neutral paths, and the documented carrier paths as aliases."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from carriers.api import converters  # noqa: F401 registers "carrier" for paths
from shipping.addresses import views as address_views
from shipping.checkpoints import views as checkpoint_views
from shipping.labels import views as label_views
from shipping.manifests import views as manifest_views
from shipping.pickups import views as pickup_views
from shipping.points import views as point_views
from shipping.quotes import views as quote_views
from shipping.reports import views as report_views
from shipping.shipments import tracking_views
from shipping.shipments import views as shipment_views
from shipping.warehouses import views as warehouse_views

router = SimpleRouter(trailing_slash=False)
router.register("quotes", quote_views.QuoteViewSet, basename="quote")
router.register("labels", label_views.LabelViewSet, basename="label")
router.register("shipments", shipment_views.ShipmentViewSet, basename="shipment")
router.register("checkpoints", checkpoint_views.CheckpointViewSet, basename="checkpoint")

points = point_views.PickupPointViewSet.as_view({"get": "list"})
point = point_views.PickupPointViewSet.as_view({"get": "retrieve"})
cancel = shipment_views.ShipmentViewSet.as_view({"post": "cancel"})
proof_of_delivery = shipment_views.ShipmentViewSet.as_view({"get": "proof_of_delivery", "post": "proof_of_delivery"})
warehouse = warehouse_views.WarehouseViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"})

urlpatterns = [
    path("pickup-points", points, name="pickup-points"),
    path("pickup-points/<str:point_id>", point, name="pickup-point"),
    path("<carrier:carrier>/pickup-points", points, name="carrier-pickup-points"),
    path("<carrier:carrier>/pickup-points/<str:point_id>", point, name="carrier-pickup-point"),
    path("", include(router.urls)),
    path("tracking", tracking_views.TrackingViewSet.as_view({"post": "track"}), name="tracking"),
    path("tracking/<str:name>", tracking_views.TrackingViewSet.as_view({"get": "retrieve"}), name="history"),
    path("warehouses", warehouse_views.WarehouseViewSet.as_view({"get": "list", "post": "create"}), name="warehouses"),
    path("warehouses/<uuid:warehouse_id>", warehouse, name="warehouse"),
    path(
        "warehouses/<uuid:warehouse_id>/registrations",
        warehouse_views.WarehouseViewSet.as_view({"post": "register"}),
        name="warehouse-registrations",
    ),
    path("returns", shipment_views.ReturnViewSet.as_view({"post": "create"}), name="returns"),
    path("serviceability", quote_views.ServiceabilityViewSet.as_view({"post": "check"}), name="serviceability"),
    path("transit-times", quote_views.TransitTimeViewSet.as_view({"post": "find"}), name="transit-times"),
    path("address-check", address_views.AddressCheckViewSet.as_view({"post": "check"}), name="address-check"),
    path("metrics/business", report_views.BusinessMetricsViewSet.as_view({"get": "retrieve"}), name="business-metrics"),
    path("analytics/performance", report_views.PerformanceViewSet.as_view({"get": "retrieve"}), name="performance"),
    path("pickups", pickup_views.PickupViewSet.as_view({"get": "list", "post": "create"}), name="pickups"),
    path("pickup-windows", pickup_views.PickupViewSet.as_view({"post": "windows"}), name="pickup-windows"),
    path("pickups/<str:pickup>", pickup_views.PickupViewSet.as_view({"get": "retrieve"}), name="pickup"),
    path("pickups/<str:pickup>/cancel", pickup_views.PickupViewSet.as_view({"post": "cancel"}), name="pickup-cancel"),
    path("manifests", manifest_views.ManifestViewSet.as_view({"get": "list", "post": "create"}), name="manifests"),
    path("manifests/<uuid:manifest_id>", manifest_views.ManifestViewSet.as_view({"get": "retrieve"}), name="manifest"),
    path(
        "manifests/<uuid:manifest_id>/documents/<uuid:document_id>",
        manifest_views.ManifestViewSet.as_view({"get": "download"}),
        name="manifest-document",
    ),
    path("<carrier:carrier>/shipments/<str:name>/cancel", cancel, name="carrier-cancel"),
    path("<carrier:carrier>/shipments/<str:name>/proof-of-delivery", proof_of_delivery, name="carrier-proof"),
]
