"""Credentials: stored per merchant and mode, or once for the platform; and the adapter that one of them opens."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from jsonschema import Draft202012Validator, ValidationError

from apikeys.access import idempotency
from apikeys.audit import events
from apikeys.db.crypto import Undecryptable
from apikeys.db.tenancy import Mode, Tenant
from apikeys.http.errors import Conflict, NotFound, ValidationFailed
from apikeys.http.rendering import rfc3339
from carriers.adapters.base import CarrierAdapter
from carriers.adapters.registry import ADAPTERS, adapter_class
from carriers.credentials import tokens
from carriers.credentials.tokens import StoredTokens
from carriers.http.transport import Caller, HttpTransport
from carriers.models import ENVIRONMENT_OF_MODE, Credential, Environment, still_lasting
from carriers.models.event_types import CREDENTIAL_DELETED, CREDENTIAL_ROTATED, CREDENTIAL_SAVED, CREDENTIAL_TESTED
from carriers.types.errors import CarrierAuthentication, CarrierError, CarrierUnavailable, CredentialUnreadable

MAX_FIELD_LENGTH = 500
_NO_TRANSPORT: Any = None
_REPLACED_KEPT = 20

log = logging.getLogger(__name__)


def save(
    *,
    tenant: Tenant | None,
    mode: str,
    carrier: str,
    environment: str,
    fields: Mapping[str, object],
    is_new: bool = False,
    by_staff: bool = False,
) -> Credential:
    """Create or change the one credential of a merchant (``tenant`` None: the platform) for a carrier; returns it.

    Fields that are not named keep their value, so a webhook secret survives a new password; where nobody can read what
    is stored, the new values are merged into nothing. Raises ``ValidationFailed`` naming ``credentials.<field>`` or
    ``environment``, and ``Conflict``: with ``is_new`` naming the one that is there, without ``by_staff`` for one that
    staff have switched off.
    """
    adapter = adapter_class(carrier)
    _check_environment(mode, environment)
    owner = tenant.merchant_id if tenant else None
    while True:
        try:
            with transaction.atomic():
                row = Credential.objects.select_for_update().filter(
                    merchant_id=owner, mode=mode, carrier=adapter.slug
                ).first() or Credential(merchant_id=owner, mode=mode, carrier=adapter.slug)
                if is_new and row.is_active and not row._state.adding:
                    raise _already_there(row)
                before = readable_fields(row)
                # A deleted one has no fields; one that is switched off may have such as nobody can read.
                if before != {} and not row.is_active and not by_staff:
                    raise Conflict(_("Operations have switched this account off; ask them."))
                before = before or {}
                after = checked(adapter, fields, before)
                row.is_active = True
                _change(row, before, after)
                events.record(CREDENTIAL_SAVED, tenant=tenant, subject_id=row.id, data=_facts(row, before, after))
                return row
        except IntegrityError:  # another request has created it between our look and our insert
            if not Credential.objects.filter(merchant_id=owner, mode=mode, carrier=adapter.slug).exists():
                raise


def fill_platform(environment: Mapping[str, str]) -> tuple[list[Credential], dict[str, list[str]]]:
    """Store the platform's production accounts whose documented variables are set, where they differ.

    Those stored, and what is wrong by the name of the variable. None that staff have switched off is, and no secret in
    the place of which the carrier has made another.
    """
    stored, problems = [], {}
    for kind in ADAPTERS.values():
        given = {field: environment[name] for name, field in kind.environment_names.items() if environment.get(name)}
        row = Credential.objects.filter(merchant=None, mode=Mode.LIVE, carrier=kind.slug).first()
        held = readable_fields(row) if row else {}
        if row and not row.is_active and held != {}:
            continue
        if row and held and kind.identity(held) == kind.identity(held | given):
            given = {name: value for name, value in given.items() if not _was_replaced(row, name, value)}
        if any((held or {}).get(name) != value for name, value in given.items()):
            account = {"mode": Mode.LIVE, "carrier": kind.slug, "environment": Environment.PRODUCTION}
            try:
                stored.append(save(tenant=None, **account, fields=given))
            except ValidationFailed as error:
                variables = {f"credentials.{field}": name for name, field in kind.environment_names.items()}
                problems |= {variables.get(field, field): words for field, words in error.details.items()}
    return stored, problems


def _was_replaced(row: Credential, name: str, value: str) -> bool:
    return _digest(value) in (row.replaced or {}).get(name, ())


def _digest(value: str) -> str:
    return salted_hmac("carriers.replaced", value).hexdigest()


def add(tenant: Tenant, *, carrier: str, environment: str, fields: Mapping[str, object]) -> Credential:
    """A merchant's new account. Raises ``Conflict`` naming the one that it has there, and what ``save`` raises."""
    with transaction.atomic():
        row = save(
            tenant=tenant, mode=tenant.mode, carrier=carrier, environment=environment, fields=fields, is_new=True
        )
        idempotency.bind(row.id)
    return row


def find(tenant: Tenant, carrier: str) -> Credential:
    """The credential that a merchant's request uses: its own, else the platform's.

    Raises ``ValidationFailed`` naming ``carrier`` when there is neither or its own is switched off (what was its own
    account's must not go to the platform's unasked), and ``CredentialUnreadable`` before anything is reserved for it.
    """
    adapter = adapter_class(carrier)
    rows = Credential.objects.filter(mode=tenant.mode, carrier=adapter.slug)
    chosen = rows.filter(merchant_id=tenant.merchant_id).first()
    if chosen and not chosen.is_active:
        if readable_fields(chosen) != {}:
            raise ValidationFailed(details={"carrier": [_("Operations have switched this account off; ask them.")]})
        chosen = None  # a deleted one
    chosen = chosen or rows.filter(merchant__isnull=True, is_active=True, is_open=True).first()
    if chosen is None:
        text = _("No %(environment)s credential for %(carrier)s; save one at /api/v1/carriers/%(carrier)s/credentials.")
        environment = ENVIRONMENT_OF_MODE[Mode(tenant.mode)]
        raise ValidationFailed(details={"carrier": [text % {"environment": environment, "carrier": adapter.slug}]})
    _opened(chosen)
    return chosen


def locked(credential_id: uuid.UUID) -> Credential:
    """The account, kept as it is until the transaction ends; rows that name it may be written meanwhile."""
    return Credential.objects.select_for_update(no_key=True).get(id=credential_id)


def hold(row: Credential) -> None:
    """Keep an account as it was read until the transaction ends.

    Raises ``CarrierUnavailable`` where it has been changed since: what is asked of the old one cannot be looked up at
    the new one.
    """
    if locked(row.id).updated_at != row.updated_at:
        raise changed(row)


def changed(row: Credential) -> CarrierUnavailable:
    """What is told of an account that was changed while a request used it."""
    text = _("The account was changed meanwhile.")
    return CarrierUnavailable(carrier=adapter_class(row.carrier).name, carrier_message=text, retry_after_s=1)


def takes_orders(row: Credential, tenant: Tenant) -> bool:
    """Whether a merchant may still buy with this account: its own, or the platform's while that is open."""
    return row.is_active and (row.merchant_id == tenant.merchant_id or (row.merchant_id is None and row.is_open))


def own(tenant: Tenant, credential_id: uuid.UUID) -> Credential:
    """One of the merchant's own accounts that is not deleted. Raises ``NotFound``."""
    row = Credential.objects.of(tenant).filter(id=credential_id, is_active=True).first()
    if row is None:
        raise NotFound
    return row


def delete(row: Credential) -> None:
    """Forget the account's secrets and use it no more; what was booked with it still names it."""
    with transaction.atomic():
        locked = Credential.objects.select_for_update().get(id=row.id)
        before = readable_fields(locked) or {}
        _change(locked, before, {})
        locked.fields, locked.is_active = None, False  # nothing is left that could be unreadable
        locked.save(update_fields=["fields", "is_active"])
        events.record(CREDENTIAL_DELETED, tenant=_tenant(locked), subject_id=locked.id, data=_facts(locked, before, {}))


def test(row: Credential) -> dict[str, object]:
    """Log in at the carrier for real, and keep how it went (``ok latency_ms at``, and ``error message`` of a failure).

    The token that it brought serves the next requests, so that trials use up no carrier's allowance of log-ins twice.
    """
    started = time.monotonic()
    result: dict[str, object] = {"ok": True, "error": None, "message": None}
    this = Credential.objects.filter(id=row.id, updated_at=row.updated_at)  # unless it has been changed meanwhile
    try:
        token = open_adapter(row).check_account()
        tokens.accepted(this)
        if token:
            tokens.keep(this, token)
    except CarrierError as error:
        if isinstance(error, CarrierAuthentication) and not isinstance(error, CredentialUnreadable):
            tokens.refused(this, error)
        result |= {"ok": False, "error": error.code, "message": error.carrier_message or str(error)}
    result |= {"latency_ms": round((time.monotonic() - started) * 1000), "at": rfc3339(timezone.now())}
    this.update(last_test=result)
    data = {"carrier": row.carrier, "ok": result["ok"], "error": result["error"]}
    events.record(CREDENTIAL_TESTED, tenant=_tenant(row), subject_id=row.id, data=data)
    return result


def rotate(row: Credential) -> Credential:
    """Have the carrier make a new secret, and store it; the account as it is then.

    The old one works on at the carrier for a while, so a lost answer is mended by asking again. Raises
    ``CarrierUnsupported``, ``Conflict`` while another rotation runs or when the account was changed meanwhile, and the
    carrier's refusal.
    """
    adapter = open_adapter(row)
    adapter.need("rotate_credentials")
    now = timezone.now()
    lease = timedelta(seconds=settings.CARRIER_TIMEOUT_S * 2)
    until, free = now + lease, ~still_lasting("rotating_until", now, lease)
    mine = Credential.objects.filter(id=row.id, updated_at=row.updated_at, is_active=True)
    if not mine.filter(free).update(rotating_until=until):
        raise Conflict(_("This account is being changed by another request."))
    try:
        fresh = adapter.rotate_credentials()
        with transaction.atomic():
            locked = mine.filter(rotating_until=until).select_for_update().first()
            if locked is None:
                raise Conflict(_("This account is being changed by another request."))
            before = readable_fields(locked) or {}
            after = checked(type(adapter), fresh, before)
            locked.replaced = _with_replaced(locked.replaced or {}, before, after)
            _change(locked, before, after)
            data = _facts(locked, before, after)
            events.record(CREDENTIAL_ROTATED, tenant=_tenant(locked), subject_id=locked.id, data=data)
    finally:
        Credential.objects.filter(id=row.id, rotating_until=until).update(rotating_until=None)
    return Credential.objects.get(id=row.id)


def _with_replaced(
    known: Mapping[str, list[str]], before: Mapping[str, str], after: Mapping[str, str]
) -> dict[str, list[str]]:
    """Digests of the values that the carrier has replaced: a variable may hold one of them still."""
    gone = {name: _digest(value) for name, value in before.items() if after.get(name) != value}
    return {**known, **{name: [*known.get(name, [])[-_REPLACED_KEPT:], digest] for name, digest in gone.items()}}


def health(tenant: Tenant, carrier: str) -> dict[str, bool]:
    """Whether the account that a merchant's requests use works, asked for real: the documented checks by name.

    ``webhook_endpoint``: whether we hold what proves the carrier's events. Raises what ``find`` raises.
    """
    credential = find(tenant, carrier)
    adapter = open_adapter(credential, merchant_id=tenant.merchant_id)
    checks = dict.fromkeys(("authentication", "api_connectivity"), False)
    try:
        if adapter.tokens:
            adapter.tokens.current()
            checks["authentication"] = True
        adapter.ping()
        checks = dict.fromkeys(checks, True)
    except CarrierError as error:
        log.warning("carrier not healthy", extra={"carrier": adapter.slug, "error": str(error)})
    proved = "webhook_secret" not in adapter.credential_fields() or "webhook_secret" in (credential.fields or {})
    return checks | {"webhook_endpoint": proved, "database": True}


def for_webhooks(carrier: str, credential_id: uuid.UUID | None) -> list[Credential]:
    """The credentials that may have signed a webhook: the named one, or the platform's of both modes.

    Also one that is switched off, for what was booked with it is under way; none that is deleted. Raises ``NotFound``
    for a carrier or credential that does not exist.
    """
    try:
        slug = adapter_class(carrier).slug
    except ValidationFailed as error:
        raise NotFound from error
    rows = Credential.objects.filter(carrier=slug)
    rows = rows.filter(id=credential_id) if credential_id else rows.filter(merchant__isnull=True)
    found = [row for row in rows if readable_fields(row) != {}]
    if credential_id and not found:
        raise NotFound
    return found


def open_adapter(
    credential: Credential, *, merchant_id: uuid.UUID | None = None, subject_id: uuid.UUID | None = None
) -> CarrierAdapter:
    """The adapter for a credential; calls are logged for this merchant and shipment (or pickup).

    Raises ``CredentialUnreadable``.
    """
    kind = adapter_class(credential.carrier)
    caller = Caller(credential, merchant_id or credential.merchant_id, kind.name, subject_id)
    base_url = settings.CARRIER_BASE_URLS.get(
        (kind.slug, credential.environment), kind.base_urls[credential.environment]
    )
    adapter = kind(fields=_opened(credential), base_url=base_url, http=HttpTransport(caller))
    if kind.logs_in():
        adapter.tokens = StoredTokens(
            credential, carrier=kind.name, margin=kind.token_margin, fetch=adapter.fetch_token
        )
    return adapter


def reader(carrier: str) -> CarrierAdapter:
    """An adapter that only reads what a carrier has sent: it needs no account, and has none to ask with."""
    return adapter_class(carrier)(fields={}, base_url="", http=_NO_TRANSPORT)


def readable_fields(row: Credential) -> dict[str, str] | None:
    """What is stored; None where it cannot be decrypted."""
    try:
        return row.fields or {}
    except Undecryptable:
        return None


def checked(adapter: type[CarrierAdapter], fields: Mapping[str, object], stored: Mapping[str, str]) -> dict[str, str]:
    """What is stored with these fields on top. Raises ``ValidationFailed`` naming each ``credentials.<field>``."""
    merged = dict(stored) | dict(fields)
    problems: dict[str, dict[str, None]] = {}
    for found in Draft202012Validator(adapter.credential_schema).iter_errors(merged):
        for name in _fields_of(found, merged):
            problems.setdefault(f"credentials.{name}", {})[_sentence(found)] = None  # each missing one names them all
    if problems:
        raise ValidationFailed(details={field: list(sentences) for field, sentences in problems.items()})
    return merged


def _already_there(row: Credential) -> Conflict:
    text = _("You have an account at this carrier already: change that one.")
    return Conflict(text, details={"carrier": [text], "credential_id": [str(row.id)]})


def _opened(row: Credential) -> dict[str, str]:
    kind = adapter_class(row.carrier)
    try:
        fields = row.fields or {}
    except Undecryptable as error:
        log.error("stored credential not readable", extra={"credential": str(row.id), "error": str(error)})
        raise CredentialUnreadable(carrier=kind.name) from error
    if not set(kind.required_fields()) <= set(fields):
        text = None if fields else _("The account that this was booked with was deleted.")
        raise CredentialUnreadable(text, carrier=kind.name)
    return fields


def _tenant(row: Credential) -> Tenant | None:
    return Tenant(row.merchant_id, row.mode) if row.merchant_id else None


def _facts(row: Credential, before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, object]:
    """What changed, by the names of the fields: their values are secrets or lead to one."""
    return {
        "carrier": row.carrier,
        "environment": row.environment,
        "stored": {"before": sorted(before), "after": sorted(after)},
        "changed": sorted(name for name in after if before.get(name) != after[name]),
    }


def _check_environment(mode: str, environment: str) -> None:
    expected = ENVIRONMENT_OF_MODE[Mode(mode)]
    if environment != expected:
        text = _("A %(mode)s key works with %(expected)s credentials only.") % {"mode": mode, "expected": expected}
        raise ValidationFailed(details={"environment": [text]})


def _fields_of(problem: ValidationError, given: Mapping[str, object]) -> list[str]:
    """The fields that a violation of an account's schema is about."""
    if problem.validator == "required":
        return [name for name in problem.validator_value if name not in given]
    if problem.validator == "additionalProperties":
        return [name for name in given if name not in problem.schema["properties"]]
    return [str(problem.path[0])] if problem.path else ["credentials"]


def _sentence(problem: ValidationError) -> str:
    """Says what is expected and never what was given, which may be a secret."""
    wanted = problem.validator_value
    match problem.validator:
        case "required":
            return _("This field is required.")
        case "additionalProperties":
            return _("The carrier has no such field.")
        case "enum":
            return _("One of these is expected: %s") % ", ".join(wanted)
        case "minLength":
            return _("A text of at least %d characters is expected.") % wanted
    return _("A text of 1 to %d characters is expected.") % MAX_FIELD_LENGTH


def _change(row: Credential, before: Mapping[str, str], fields: dict[str, str]) -> None:
    """A token and a trial belong to the account that they were made with, so they go when its fields change."""
    kind = ADAPTERS.get(row.carrier, CarrierAdapter)
    if not row._state.adding and kind.identity(before) != kind.identity(fields):
        row.account_since = timezone.now()
    if before != fields:
        row.token, row.token_expires_at, row.token_fetched_at = None, None, None
        row.token_fence += 1
        row.token_lease_until = None
        row.refused_at, row.refusal, row.login_after, row.last_test = None, None, None, None
    row.fields = fields
    row.save()
