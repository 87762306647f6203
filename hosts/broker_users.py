"""A user of the broker for each plane, who reaches that plane's own queues and what it may write to, nothing else.

Source of the rules: Redis 7 ACL documentation (key permissions %R and %W), and kombu's Redis transport for the
commands and keys that a worker uses. Priorities make kombu append a separator and a digit to a queue's name.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from urllib.parse import quote, urlsplit, urlunsplit

import redis
from django.conf import settings

from hosts.models import Plane
from hosts.plane.app import QUEUE_SEPARATOR, unacked_keys
from hosts.plane.streams import OBSERVED, POWER, SAMPLES
from hosts.plane.watched import KEY as WATCHED_KEY

log = logging.getLogger(__name__)

TIMEOUT_S = 2.0
COMMANDS = (
    *("+@connection", "-client", "+client|setname", "+client|id", "+info"),
    *("+brpop", "+rpop", "+lpush", "+llen", "+sadd", "+srem", "+smembers"),
    *("+zadd", "+zrem", "+zrange", "+zrevrangebyscore", "+hset", "+hget", "+hdel"),
    *("+set", "+get", "+del", "+exists", "+pexpire", "+eval", "+evalsha", "+script|load"),
    *("+multi", "+exec", "+watch", "+unwatch", "+discard", "+xadd"),
    *("+publish", "+subscribe", "+psubscribe", "+unsubscribe", "+punsubscribe"),
)


def user_name(plane: Plane) -> str:
    return f"{plane.kind}.{plane.name}"


def password_of(plane: Plane) -> str:
    """The user's password: follows from the token, so a new token ends the old connection's right to return."""
    words = f"broker {plane.kind} {plane.name} {plane.token_sha256}"
    return hmac.new(settings.SECRET_KEY.encode(), words.encode(), hashlib.sha256).hexdigest()


def key_rules(plane: Plane) -> list[str]:
    """Which keys the plane may read (%R), write (%W) or both."""
    lanes = ("short", "long") if plane.kind == Plane.Kind.HOST else ()
    queues = [f"{plane.kind}.{plane.name}.{lane}" for lane in lanes] or [f"site.{plane.name}"]
    own = [key for queue in queues for key in (queue, f"{queue}{QUEUE_SEPARATOR}?")]
    own += [f"_kombu.{table}.{queue}" for queue in queues for table in ("binding", "binding_permanent")]
    own += unacked_keys(user_name(plane)).values()
    written = [SAMPLES, OBSERVED] if plane.kind == Plane.Kind.HOST else [POWER]
    read = [WATCHED_KEY + plane.name] if plane.kind == Plane.Kind.HOST else []
    return [
        *(f"~{key}" for key in own),
        *(f"%R~{key}" for key in read),
        *(f"%W~{key}" for key in (*written, "control")),
    ]


def broker_url_for(plane: Plane) -> str:
    """The broker's URL for this plane, its user ensured; the shared one where the broker keeps no users of ours."""
    if not settings.PLANE_BROKER_USERS:
        return str(settings.PLANE_BROKER_URL)
    user_ensure(_admin(), plane)
    return url_with_user(settings.PLANE_BROKER_URL, plane)


def url_with_user(broker_url: str, plane: Plane) -> str:
    parts = urlsplit(broker_url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user_name(plane))}:{password_of(plane)}@{place}"))


def planes_let_in() -> int:
    """Makes the users that the broker has forgotten, as it does when it starts anew; how many."""
    if not settings.PLANE_BROKER_USERS:
        return 0
    try:
        admin = _admin()
        known = set(admin.acl_users())
        missing = [plane for plane in Plane.objects.all() if user_name(plane) not in known]
        for plane in missing:
            user_ensure(admin, plane)
    except (redis.RedisError, OSError) as error:
        log.warning("The broker's users wait: %s", error)
        return 0
    return len(missing)


def user_ensure(admin: redis.Redis, plane: Plane) -> None:
    """Makes the plane's user, or makes it what it should be; raises redis.RedisError."""
    words = ["reset", "on", f">{password_of(plane)}", "resetchannels", "-@all", *COMMANDS, *key_rules(plane)]
    admin.execute_command("ACL", "SETUSER", user_name(plane), *words)


def _admin() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
