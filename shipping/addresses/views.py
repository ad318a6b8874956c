"""Endpoint to check an address at a carrier."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.access.views import ApiViewSet
from apikeys.models import scopes
from carriers.credentials import opening, selection
from shipping import openapi_examples
from shipping.addresses import rendering, serializers
from shipping.common import input_warnings
from shipping.common.conversion import to_address


class AddressCheckViewSet(ApiViewSet):
    """Checks of addresses."""

    scopes: ClassVar = {"check": scopes.SHIPMENTS_READ}

    @extend_schema(
        request=serializers.AddressCheckRequestSerializer,
        examples=openapi_examples.ADDRESS_CHECK,
        responses={200: rendering.AddressCheckSerializer},
        tags=["addresses"],
    )
    def check(self, request: Request) -> Response:
        """Check an address at a carrier. Nothing is stored.

        ``warnings`` are our own, whatever the carrier answers. A carrier without such a check refuses with
        ``unsupported_operation``.
        """
        data = self.validate(serializers.AddressCheckRequestSerializer, request.data)
        credential = selection.select_credential(self.tenant, data["carrier"])
        adapter = opening.open_adapter(credential, merchant_id=self.tenant.merchant_id)
        adapter.need("check_address")
        address = to_address(data["address"])
        warnings = input_warnings.check_addresses({"address": address})
        return Response(rendering.address_check(adapter.name, adapter.check_address(address), warnings))
