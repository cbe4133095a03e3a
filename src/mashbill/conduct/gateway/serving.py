"""Serving a gateway, as a program does.

    serve(read_settings(path), engine, Scorer.shipped(), hashes)

On SIGTERM or SIGINT it says that it is not ready any more, has new connections given to a process
that took its place, answers what it has and what still comes on connections that clients keep
(telling each that it is the last), and ends when no connection is left, or at the bound of
``times.drain``. What it observed till then is written.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from typing import TYPE_CHECKING

from mashbill.conduct.gateway.observer import yield_often
from mashbill.core.extras import needs

if TYPE_CHECKING:
    from collections.abc import Callable

    from mashbill.conduct.events import Hashes
    from mashbill.conduct.gateway.running import Bound
    from mashbill.conduct.gateway.settings import Settings
    from mashbill.conduct.scan.engine import Engine
    from mashbill.conduct.scored import Scorer


def serve(
    settings: Settings,
    engine: Engine | None,
    scorer: Scorer | None,
    hashes: Hashes,
    *,
    told: Callable[[Bound], None] | None = None,
) -> bool:
    """Serve until SIGTERM or SIGINT; return whether every request was answered.

    Args:
        settings: what to do.
        engine: takes events, and says what is held of accounts; None observes only.
        scorer: scores texts of prompts; None leaves scores out.
        hashes: of whatever must not stand in events.
        told: is called when it listens.

    Raises:
        InputError: if a file or an address that the settings name cannot be used.
        MissingExtraError: if aiohttp or uvloop is not installed.
    """
    before = yield_often()
    try:
        with asyncio.Runner(loop_factory=_loop()) as runner:
            return runner.run(_serve(settings, engine, scorer, hashes, told))
    finally:
        sys.setswitchinterval(before)


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    with needs("serving a gateway", "api"):
        import uvloop
    return uvloop.new_event_loop


async def _serve(
    settings: Settings,
    engine: Engine | None,
    scorer: Scorer | None,
    hashes: Hashes,
    told: Callable[[Bound], None] | None,
) -> bool:
    with needs("serving a gateway", "api"):
        from mashbill.conduct.gateway.running import Gateway
    gateway = Gateway(settings, engine=engine, scorer=scorer, hashes=hashes)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    bound = await gateway.start()
    # What is loaded by now stays: a collection that went through it would hold up requests.
    gc.collect()
    gc.freeze()
    if told is not None:
        told(bound)
    await ending.wait()
    return await gateway.end()
