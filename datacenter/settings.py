"""Django settings. What differs between installations is read by `env`; the rest is decided here."""

from __future__ import annotations

import sys

import dj_database_url
from csp.constants import NONCE, NONE, SELF

from datacenter import env

BASE_DIR = env.CHECKOUT
DATA_DIR = env.data_dir()
TESTING = "pytest" in sys.modules

SECRET_KEY = "unit-tests-only" if TESTING else env.required("SECRET_KEY", "sessions are signed with it")
# Fernet key: BMC passwords are stored under it.
CREDENTIALS_KEY = (
    "dW5pdC10ZXN0cy1vbmx5LXVuaXQtdGVzdHMtb25seSE="
    if TESTING
    else env.required("CREDENTIALS_KEY", "stored passwords are encrypted with it")
)
DEBUG = False
STOWAGE_PORT = env.whole_number("STOWAGE_PORT", 8400, lowest=1)
# No "*": the websocket's origin check rests on this list.
ALLOWED_HOSTS = env.listed("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]" + (",testserver" if TESTING else ""))

INSTALLED_APPS = [
    "datacenter.admin_config.StowageAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_celery_beat",
    "hosts",
    "workloads",
    "datacenter",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "datacenter.http_errors.SentencesMiddleware",
]
ROOT_URLCONF = "datacenter.urls"
ASGI_APPLICATION = "datacenter.asgi.application"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"
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
                "csp.context_processors.nonce",
                "datacenter.context.shell",
            ],
        },
    }
]

# -- data ---------------------------------------------------------------------------------------------
DATABASES = {
    "default": dj_database_url.parse(
        env.text("DATABASE_URL", f"sqlite:///{DATA_DIR / 'stowage.sqlite3'}"), conn_max_age=60
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    # IMMEDIATE: with deferred transactions about half of all read-modify-write transactions of several
    # processes fail at once, whatever the time-out (measured; decisions/0002).
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;",
    }
# Counts of failed logins only; several web processes would each count for themselves.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 100_000}}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# -- messages -----------------------------------------------------------------------------------------
REDIS_URL = env.url("REDIS_URL", "redis://127.0.0.1:6379/0", ("redis", "rediss", "unix"))
# What a host plane is told: the same Redis by the address that it can reach.
PLANE_BROKER_URL = env.url("PLANE_BROKER_URL", REDIS_URL, ("redis", "rediss", "amqp", "amqps"))
# Each plane with a user of its own at the broker; for a Redis that lets us make users (ACL SETUSER).
PLANE_BROKER_USERS = not TESTING and env.flag(
    "PLANE_BROKER_USERS", default=PLANE_BROKER_URL.startswith("redis") and REDIS_URL.startswith("redis")
)
PLANE_URL = env.url("PLANE_URL", f"http://127.0.0.1:{STOWAGE_PORT}", ("http", "https"))
CHANNEL_LAYERS: dict[str, dict[str, object]] = (
    {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    if TESTING
    else {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            # socket_timeout None: redis-py >= 8 with channels_redis 4.3.0 otherwise ends every idle websocket
            # after about 5 s (channels_redis#422); may go when that is fixed there.
            "CONFIG": {
                "hosts": [{"address": REDIS_URL, "socket_timeout": None, "max_connections": 4096}],
                "capacity": 100,
                "expiry": 10,
                "group_expiry": 3600,
            },
        }
    }
)

# -- metrics ------------------------------------------------------------------------------------------
METRICS_URL = env.url("METRICS_URL", "http://127.0.0.1:8428", ("http", "https"))
METRICS_LONG_URL = env.url("METRICS_LONG_URL", "http://127.0.0.1:8429", ("http", "https"))

# -- alerts -------------------------------------------------------------------------------------------
# Where notices may go: "private" forbids this machine, its link and metadata services; "public" private networks too;
# "any" allows this machine, for a mail relay on it (decisions/0018).
NOTICE_TARGETS = env.choice("STOWAGE_NOTICE_TARGETS", "private", ("public", "private", "any"))
# Under which address people open the dashboard; notices then link to it.
DASHBOARD_URL = env.text("STOWAGE_URL").rstrip("/")

# -- doors --------------------------------------------------------------------------------------------
BEHIND_TLS = env.flag("STOWAGE_BEHIND_TLS")
SESSION_COOKIE_NAME = "stowage_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = BEHIND_TLS
CSRF_COOKIE_NAME = "stowage_csrf"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = BEHIND_TLS
CSRF_TRUSTED_ORIGINS = env.listed("CSRF_TRUSTED_ORIGINS")
if BEHIND_TLS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31536000
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# -- files --------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS: list[object] = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if TESTING
        else "datacenter.static_files.OwnFilesHashedStorage"
    },
}
# Browser packages carry their version in the address, our own files a hash: neither ever changes.
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/static/(npm/.+@.+|.+\.[0-9a-f]{12}\..+)$"
MEDIA_ROOT = DATA_DIR / "media"
IMAGE_DIR = DATA_DIR / "images"

LANGUAGE_CODE = "en-gb"
USE_TZ = True
TIME_ZONE = env.text("TZ", "UTC")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"httpx": {"level": "WARNING"}, "daphne": {"level": "WARNING"}},
}

# browser packages are added by datacenter/npm.py under versioned prefixes
from datacenter.npm import package_dirs  # noqa: E402  (needs BASE_DIR's checkout only; kept last to read as an appendix)

STATICFILES_DIRS += package_dirs(BASE_DIR)
