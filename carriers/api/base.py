"""Base of the views that pass a request on to a carrier."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from apikeys.access.views import ApiViewSet
from apikeys.http.fields import TextField
from carriers.adapters.base import CarrierAdapter
from carriers.credentials import opening, selection
from carriers.models import Credential

CARRIER = OpenApiParameter(
    "carrier", str, OpenApiParameter.QUERY, required=True, description="The carrier's name in any case."
)


class CarrierQuerySerializer(serializers.Serializer):
    """``?carrier=``"""

    carrier = TextField(max_length=40)


class CarrierViewSet(ApiViewSet):
    """Views of one carrier, which the path or the query names."""

    shared_parameters = frozenset({"carrier"})

    def open_carrier(self, request: Request, carrier: str = "") -> tuple[Credential, CarrierAdapter]:
        """Return the merchant's credential for the carrier, and the adapter opened with it.

        ``carrier`` is from the path; if it is empty, the query names the carrier.
        """
        query = {name: text for name, text in request.query_params.items() if name == "carrier"}
        name = carrier or self.validate(CarrierQuerySerializer, query)["carrier"]
        credential = selection.select_credential(self.tenant, name)
        return credential, opening.open_adapter(credential, merchant_id=self.tenant.merchant_id)
