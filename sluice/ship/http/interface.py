"""The SQL interface of an appliance: opened by its shipper when the settings ask for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from sluice.config import Settings
from sluice.ship.clickhouse import Embedded, Store
from sluice.ship.http.app import Engine
from sluice.ship.http.credentials import password, password_file
from sluice.ship.http.errors import NETWORK_ERROR
from sluice.ship.http.listener import Listener
from sluice.ship.reading import Question, Reading
from sluice.ship.sqlgate import SqlError

log = logging.getLogger("sluice.ship.http")


def opened(
    settings: Settings, store: Callable[[], Store | None], select: Callable[[str, str], bytes]
) -> Listener | None:
    """The listener, serving; None when it is off or its address is taken, which must not keep records from shipping.

    `store` gives the store of the moment; `select` answers small questions. Raises `Misconfigured`.
    """
    listen = settings.clickhouse.http_listen
    if not listen or settings.clickhouse.dsn:
        return None
    secret = password(settings)

    def read(question: Question, bounds: Mapping[str, Any]) -> Reading:
        engine = store()
        if not isinstance(engine, Embedded):
            raise SqlError(NETWORK_ERROR, "the event store is not open; it may be starting: try again")
        return engine.read(question, bounds)

    try:
        listener = Listener(listen, Engine(read, select, settings.clickhouse.database), secret)
    except OSError as e:
        facts = {"listen": listen, "error": e.strerror}
        log.error("the SQL interface is not served: its address cannot be had", extra={"facts": facts})
        return None
    listener.start()
    facts = {"url": listener.url, "password": str(password_file(settings))}
    log.info("the SQL interface is served", extra={"facts": facts})
    return listener
