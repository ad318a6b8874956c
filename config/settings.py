"""Settings, read from the environment or from a ``.env`` file beside ``manage.py``.

``.env.example`` lists every variable. With ``DEBUG=true`` demo secrets replace missing ones; otherwise Waybill refuses
to start on a missing or demo secret.
"""

from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from config.databases import cache_configuration, database_pool
from config.environment import BASE_DIR, MAX_DAYS, REDIS_SCHEMES, env
from config.logs import LEVELS, logging_settings
from config.secrets import DEMO, read_secrets

# Off even in demo mode: Django's debug pages answer API clients in HTML and show source code.
DEBUG = False

# Secrets

_secrets = read_secrets()
SECRET_KEY = _secrets["SECRET_KEY"]
ENCRYPTION_KEYS = _secrets["ENCRYPTION_KEYS"]
API_KEY_PEPPER = _secrets["API_KEY_PEPPER"]
TRACKING_NUMBER_SECRETS = _secrets["TRACKING_NUMBER_SECRETS"]
TRACKING_NUMBERS_NEED_KEY = env.bool("TRACKING_NUMBERS_NEED_KEY", default=False)
DEMO_API_KEY = env.str("API_KEY", default="test-api-key")

# Django

ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", default=["*"] if DEMO else ["localhost", "127.0.0.1", "0.0.0.0"])  # noqa: S104
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")
# Base of links, such as https://api.waybill.example. Empty: links have the URL of the request.
PUBLIC_URL = env.url("PUBLIC_URL")
# Address for carriers' webhooks. Empty: Waybill subscribes to no carrier's webhooks, and polls.
CARRIER_CALLBACK_URL = env.url(
    "CARRIER_CALLBACK_URL",
    default=PUBLIC_URL if PUBLIC_URL.startswith("https://") else "",
    schemes={"http", "https"} if DEMO else {"https"},
).rstrip("/")

INSTALLED_APPS = [
    "apikeys.admin_config.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework_simplejwt.token_blacklist",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "axes",
    "apikeys",
    "tracking",
    "carriers",
    "shipping",
    "webhooks",
    "config",
]
MIDDLEWARE = [
    "apikeys.http.correlation.CorrelationMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "apikeys.http.compression.JsonGzipMiddleware",
    "apikeys.http.guards.RequestGuardMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "apikeys.admin_site.StaffActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEST_RUNNER = "config.test_runner.PytestRunner"
APPEND_SLASH = False
AUTH_USER_MODEL = "apikeys.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "apikeys.people.sign_in.EmailBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("es", _("Spanish"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

# Storage

DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var")))
DATABASES = {"default": env.database("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'waybill.sqlite3'}")}
_database = DATABASES["default"]
if _database["ENGINE"].endswith("sqlite3"):
    Path(_database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    # IMMEDIATE: a write transaction takes its lock when it begins, so writers wait instead of failing half-way.
    _database["OPTIONS"] = _database.get("OPTIONS", {}) | {
        "transaction_mode": "IMMEDIATE",
        "timeout": env.int("SQLITE_TIMEOUT_S", default=20),
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
else:
    _database["ENGINE"] = "apikeys.db.postgresql"
    # The options of the URL, such as sslmode, stay.
    _database["OPTIONS"] = _database.get("OPTIONS", {}) | {
        # From the second time on, a hot statement is sent by its name. None: never, for poolers that cannot keep it.
        "prepare_threshold": 1 if env.bool("DATABASE_PREPARED_STATEMENTS", default=True) else None,
        "pool": database_pool(env),
    }
REDIS_URL = env.url("REDIS_URL", schemes=REDIS_SCHEMES)
# Most connections of a process to Redis, for each of the cache and the counters; 0: no limit.
REDIS_POOL_SIZE = env.int("REDIS_POOL_SIZE", default=0)
CACHES = {
    "default": cache_configuration(REDIS_URL, REDIS_POOL_SIZE),
    "counters": {"BACKEND": "apikeys.db.counters.CountersCache"},
}
RATELIMIT_USE_CACHE = "counters"

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles")))
if DEMO:  # files are served from static/, but WhiteNoise warns if this directory is missing
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
STORAGES = {
    # Labels contain personal data: an authenticated view serves them, never a public URL.
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(DATA_DIR / "files")},
    },
    "staticfiles": {"BACKEND": "config.static.CollectedStorage"},
}

# Transport security (off in demo mode, which uses plain HTTP on loopback)

SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=not DEMO)
SECURE_REDIRECT_EXEMPT = [r"^health$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_TLS_PROXY", default=False) else None
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31536000) * (not DEMO)
SECURE_HSTS_INCLUDE_SUBDOMAINS = not DEMO
SECURE_HSTS_PRELOAD = not DEMO
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEMO

# People

# Repeated failures lock the account for their IP address only, so an attacker cannot lock out its owner.
AXES_FAILURE_LIMIT = env.int("SIGN_IN_FAILURES", default=5, minimum=1)
AXES_COOLOFF_TIME = timedelta(minutes=env.int("SIGN_IN_LOCK_MINUTES", default=15, minimum=1))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_CALLABLE = "apikeys.people.sign_in.lockout_name"
AXES_LOCKOUT_CALLABLE = "apikeys.people.sign_in.keep_response"
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
# Parameters that django-axes must not store in its table of attempts.
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "email", "otp", "code", "csrfmiddlewaretoken", "next"]
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_CLIENT_IP_CALLABLE = "apikeys.http.actors.client_address"
AXES_VERBOSE = False
# Whether staff need a second factor for the admin.
STAFF_TWO_FACTOR = env.bool("STAFF_TWO_FACTOR", default=not DEMO)
OTP_TOTP_ISSUER = "Waybill"
OTP_ADMIN_HIDE_SENSITIVE_DATA = True
LOGIN_URL = "portal:sign-in"
LOGIN_REDIRECT_URL = "portal:home"
SESSION_SERIALIZER = "apikeys.db.crypto.EncryptedSessionSerializer"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
INVITATION_KEEP = timedelta(days=7)
PASSWORD_RESET_TIMEOUT = 3600
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=env.int("REFRESH_TOKEN_DAYS", default=14, minimum=1, maximum=MAX_DAYS)),
    # A new password revokes the tokens issued before.
    "CHECK_REVOKE_TOKEN": True,
    "UPDATE_LAST_LOGIN": False,
}
EMAIL_CONFIG = env.email("EMAIL_URL", default=f"filemail:///{DATA_DIR / 'mail'}")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="waybill@localhost")
EMAIL_TIMEOUT = 10

# Recipients of security notices besides the merchant's owners.
SECURITY_EMAILS = env.addresses("SECURITY_EMAILS")
SECURITY_WEBHOOK_URL = env.url("SECURITY_WEBHOOK_URL")
# Interval between notices; events in between are sent together.
SECURITY_NOTICE_EVERY_S = env.float("SECURITY_NOTICE_EVERY_S", default=60.0, minimum=0.01)

# API

# Proxies (addresses or networks) whose X-Forwarded-For is trusted.
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES", default=[])
# Networks that may read /metrics without METRICS_TOKEN.
METRICS_ADDRESSES = env.networks(
    "METRICS_ADDRESSES", default=["127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
)
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
if _metrics_directory := env.str("PROMETHEUS_MULTIPROC_DIR"):
    Path(_metrics_directory).mkdir(parents=True, exist_ok=True)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apikeys.access.authentication.ApiKeyAuthentication",
        "apikeys.access.authentication.PersonAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["apikeys.access.authentication.IsCaller"],
    "DEFAULT_RENDERER_CLASSES": ["apikeys.http.rendering.JsonRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apikeys.http.rendering.AlwaysJson",
    "DEFAULT_PARSER_CLASSES": ["apikeys.http.parsing.JsonParser"],
    "DEFAULT_SCHEMA_CLASS": "apikeys.api.schema.WaybillSchema",
    "EXCEPTION_HANDLER": "apikeys.http.handler.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_METADATA_CLASS": None,
    "COERCE_DECIMAL_TO_STRING": False,
    "DATETIME_FORMAT": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Waybill",
    "DESCRIPTION": "One REST API over every parcel carrier.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["apikeys.api.schema.drop_second_mount"],
    "ENUM_NAME_OVERRIDES": {
        "ApiKeyStateEnum": ["active", "expired", "revoked", "leaked"],
        "CarrierCredentialEnum": ["own", "platform", "none"],
        "CountryEnum": "tracking.serializers.CODES",
        "RegistrationCredentialEnum": ["own", "platform"],
        "RegistrationStateEnum": "shipping.models.WarehouseRegistration.State",
    },
}
MAX_BODY_BYTES = env.int("MAX_BODY_BYTES", default=1_048_576, minimum=1)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
API_KEY_BCRYPT_ROUNDS = env.int("API_KEY_BCRYPT_ROUNDS", default=12, minimum=4, maximum=31)
# Waybill's own limits in django-ratelimit's notation; plans define those of API keys (``apikeys.access.limits``).
RATE_LIMITS_ENABLED = env.bool("RATE_LIMITS_ENABLED", default=True)
# Limits of an API key whose plan has none; the first also applies per address to requests without a key.
RATE_LIMIT_PER_MINUTE = env.int("RATE_LIMIT_PER_MINUTE", default=100, minimum=1)
RATE_LIMIT_PER_HOUR = env.int("RATE_LIMIT_PER_HOUR", default=1000, minimum=1)
PUBLIC_RATES = env.rates("PUBLIC_RATES", default=[f"{RATE_LIMIT_PER_MINUTE}/m"])
USER_RATES = env.rates("USER_RATES", default=["60/m"])
SENSITIVE_RATES = env.rates("SENSITIVE_RATES", default=["5/m", "10/15m"])
ACCOUNT_RATES = env.rates("ACCOUNT_RATES", default=["50/h"])
# Requests with unknown API keys that raise an alarm: from one network, and from all together.
UNKNOWN_KEYS_ALARM = env.rates("UNKNOWN_KEYS_ALARM", default=["20/10m"])
UNKNOWN_KEYS_TOTAL_ALARM = env.rates("UNKNOWN_KEYS_TOTAL_ALARM", default=["200/10m"])
COUNTERS_PREFIX = "waybill:count:"
# Usage counts are kept in memory this long, then written in one batch.
USAGE_FLUSH_S = env.float("USAGE_FLUSH_S", default=5.0, minimum=0.01)
IDEMPOTENCY_KEEP = timedelta(hours=24)
IDEMPOTENCY_LEASE = timedelta(seconds=env.int("IDEMPOTENCY_LEASE_S", default=60, minimum=1))
IDEMPOTENCY_WAIT_S = env.float("IDEMPOTENCY_WAIT_S", default=2.0)

# Browsers

# Origins (https://shop.example) whose pages may call the API, with a key or an access token, never with cookies.
# If there are none, the middleware is not installed.
CORS_ALLOWED_ORIGINS = env.origins("CORS_ALLOWED_ORIGINS", "ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/(api/|health$|next-tracking-number$)"
CORS_ALLOW_CREDENTIALS = False
CORS_ALLOW_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
CORS_ALLOW_HEADERS = [
    "accept",
    "accept-language",
    "authorization",
    "content-type",
    "idempotency-key",
    "x-api-key",
    "x-correlation-id",
]
CORS_EXPOSE_HEADERS = [
    "Content-Disposition",
    "Idempotent-Replayed",
    "Retry-After",
    "X-Correlation-ID",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
]
if CORS_ALLOWED_ORIGINS:
    INSTALLED_APPS.append("corsheaders")
    # Before any middleware that responds itself: browsers reject redirects and errors without CORS headers.
    MIDDLEWARE.insert(1, "corsheaders.middleware.CorsMiddleware")

# Carriers

CARRIER_CONNECT_TIMEOUT_S = env.float("CARRIER_CONNECT_TIMEOUT_S", default=5.0, minimum=0.01)
CARRIER_TIMEOUT_S = env.float("CARRIER_TIMEOUT_S", "PICKIT_TIMEOUT", default=30.0, minimum=0.01)
CARRIER_MAX_RETRIES = env.int("CARRIER_MAX_RETRIES", "PICKIT_MAX_RETRIES", default=3, maximum=20)
CARRIER_RETRY_DELAY_S = env.float("CARRIER_RETRY_DELAY_S", "PICKIT_RETRY_DELAY", default=1.0)
CARRIER_MAX_ANSWER_BYTES = env.int("CARRIER_MAX_ANSWER_BYTES", default=10 * 1024 * 1024, minimum=1)
# Longest wait for the carrier's rate limit before a call is refused.
CARRIER_BUDGET_WAIT_S = env.float("CARRIER_BUDGET_WAIT_S", default=3.0)
CARRIER_LOGIN_REST_S = env.float("CARRIER_LOGIN_REST_S", default=30.0)
CARRIER_BREAKER_FAILURES = env.int("CARRIER_BREAKER_FAILURES", default=5, minimum=1)
CARRIER_BREAKER_OPEN_S = env.float("CARRIER_BREAKER_OPEN_S", default=60.0)
PICKUP_POINTS_FRESH = timedelta(seconds=env.float("PICKUP_POINTS_FRESH_S", default=3600))
PICKUP_POINTS_KEEP = timedelta(seconds=env.float("PICKUP_POINTS_KEEP_S", default=86_400))
if PICKUP_POINTS_KEEP < PICKUP_POINTS_FRESH:
    raise ImproperlyConfigured("PICKUP_POINTS_KEEP_S must not be shorter than PICKUP_POINTS_FRESH_S.")
CARRIER_CALL_KEEP = timedelta(days=env.int("CARRIER_CALL_KEEP_DAYS", default=90, minimum=1, maximum=MAX_DAYS))
INBOUND_WEBHOOK_KEEP = timedelta(days=env.int("INBOUND_WEBHOOK_KEEP_DAYS", default=90, minimum=1, maximum=MAX_DAYS))
# Below gunicorn's 90 seconds, after which it kills the process.
REQUEST_DEADLINE_S = env.float("REQUEST_DEADLINE_S", default=45.0, minimum=0.01, maximum=85)
# Concurrent carrier calls per process. Below the number of web threads (deploy/gunicorn.py), so that hanging carriers
# leave threads for other requests.
CARRIER_CONCURRENCY = env.int("CARRIER_CONCURRENCY", default=10, minimum=1)
CARRIER_SANDBOX_URL = env.url(
    "CARRIER_SANDBOX_URL", default=f"http://127.0.0.1:{env.int('SANDBOX_PORT', default=8010, minimum=1, maximum=65535)}"
)
# Whether test credentials call the simulated carriers also where the carrier has a test environment.
CARRIER_SIMULATED = env.bool("CARRIER_SIMULATED", default=DEMO)
# Base URLs by carrier, environment and name of the API, instead of those of ``carriers.http.environments.base_urls``.
CARRIER_BASE_URLS = {
    key: url
    for key, url in {
        ("pickit", "sandbox", "main"): env.url("PICKIT_SANDBOX_URL"),
        ("pickit", "production", "main"): env.url("PICKIT_API_URL"),
        ("velocity", "sandbox", "main"): env.url("VELOCITY_SANDBOX_URL"),
        ("velocity", "production", "main"): env.url("VELOCITY_BASE_URL"),
    }.items()
    if url
}
# Delay before the first lookup of a booking without an answer: its request may still be running.
RECONCILE_FIRST_LOOKUP = timedelta(seconds=env.int("RECONCILE_FIRST_LOOKUP_S", default=60))
RECONCILE_EVERY_S = env.float("RECONCILE_EVERY_S", default=10.0, minimum=0.01)
RECONCILE_QUIET_PERIOD = timedelta(seconds=env.int("RECONCILE_QUIET_PERIOD_S", default=600))

# Shipments without a carrier report for this long are polled, until they are final or too old.
POLL_AFTER_SILENCE = timedelta(seconds=env.int("POLL_AFTER_SILENCE_S", default=6 * 3600, minimum=1))
POLL_EVERY_S = env.float("POLL_EVERY_S", default=10.0, minimum=0.01)
POLL_GIVE_UP = timedelta(days=env.int("POLL_GIVE_UP_DAYS", default=60, minimum=1, maximum=MAX_DAYS))

# Worker and webhooks to merchants

WEBHOOK_TIMEOUT_S = env.float("WEBHOOK_TIMEOUT_S", default=15.0, minimum=0.01)
WEBHOOK_LEASE = timedelta(seconds=env.int("WEBHOOK_LEASE_S", default=60, minimum=1))
WEBHOOK_RETRY_SCALE = env.float("WEBHOOK_RETRY_SCALE", default=1.0)
WEBHOOK_ALLOW_LOOPBACK = DEMO
WORKER_POLL_S = env.float("WORKER_POLL_S", default=0.5, minimum=0.01)
WORKER_METRICS_PORT = env.int("WORKER_METRICS_PORT", default=0, maximum=65535)
WORKER_HEARTBEAT_S = env.float("WORKER_HEARTBEAT_S", default=5.0, minimum=0.01)
# Work is queued in database rows; the worker status reports that no broker is used.
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL")

# Logs

LOGGING = logging_settings(level=env.choice("LOG_LEVEL", LEVELS, default="INFO"))
