"""Every saga by its name. Modules register as they are imported; `load` imports them all."""

from __future__ import annotations

import importlib.util
import pkgutil

from django.apps import apps

from hosts.errors import NotFound
from hosts.operations.saga import Saga

_sagas: dict[str, Saga] = {}
_loaded = False


def register(saga: Saga) -> Saga:
    """The saga itself; raises ValueError when its name belongs to another."""
    if saga.name in _sagas:
        raise ValueError(f"two sagas are named {saga.name}")
    _sagas[saga.name] = saga
    return saga


def unregister(name: str) -> None:
    """Forgets a saga; for tests that bring their own."""
    _sagas.pop(name, None)


def saga_named(name: str) -> Saga:
    load()
    try:
        return _sagas[name]
    except KeyError:
        raise NotFound(f"No operation is called {name}. Was it made by a newer version of Stowage?") from None


def title_of(kind: str) -> str:
    """What an operator reads for a saga's name; the name with blanks where it is no longer known."""
    load()
    saga = _sagas.get(kind)
    return saga.title if saga else kind.replace("_", " ")


def sagas() -> dict[str, Saga]:
    """All sagas of all floors by name, in alphabetical order."""
    load()
    return dict(sorted(_sagas.items()))


def load() -> None:
    """Imports every module of every floor's `sagas` package."""
    global _loaded
    if _loaded:
        return
    for config in apps.get_app_configs():
        package_name = f"{config.name}.sagas"
        if importlib.util.find_spec(package_name) is None:
            continue
        package = importlib.import_module(package_name)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package_name}.{module.name}")
    _loaded = True
