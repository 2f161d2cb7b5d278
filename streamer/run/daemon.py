"""Puts the daemon together by hand, starts it in order, and ends it in order.

Start: lock the data folder, replay the journal, then the doors (reads, pause, cancel and stop work
at once), then the engines, which connect and recover before they pay. End: plan and let in nothing
new, wait for what is in flight up to DRAIN_SECONDS, close the doors, leave the rest to the next
start. After a failed store the whole house is built anew from the journal: there is no other way
back.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from streamer import __version__
from streamer.api.auth import Keys, load_admin_key
from streamer.api.calls import Calls
from streamer.api.grpc import GrpcDoor
from streamer.api.http.gateway import Gateway
from streamer.api.http.server import HttpDoor, make_app
from streamer.api.owncert import OwnCertificate
from streamer.api.services import served
from streamer.api.tls import Tls
from streamer.api.webhook.start import make_outbox, start_delivery
from streamer.books.desk import Desk
from streamer.config import Config
from streamer.core.book import Limits, Shared
from streamer.core.keysend import derive_preimage
from streamer.core.shared import MARK
from streamer.doubt.recovery import Patience
from streamer.nodes.credentials import access_of
from streamer.nodes.lnd import LndNode
from streamer.nodes.metered import MeteredNode
from streamer.pay.build import Build
from streamer.pay.engine import Engine, Pace
from streamer.pay.link import LinkTerms
from streamer.ports import Clock, Node, Store
from streamer.run.heartbeat import Beats, Heartbeat
from streamer.run.reload import Reload
from streamer.service import Keyring, Nodes, Service
from streamer.stores.folder import open_folder, require_writable
from streamer.stores.sqlite import SqliteStore
from streamer.watch.feed import LAST_CURSOR, Feed, latest_ns, start_cursor
from streamer.watch.metrics import Metrics
from streamer.watch.observer import Telling
from streamer.words.clock import BootClock
from streamer.words.errors import ConfigError, StoreFailed
from streamer.words.model import ENDED, Facts, Mark, Snapshot
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt
from streamer.words.settings import NodeSettings

log = logging.getLogger(__name__)

DRAIN_SECONDS = 35.0
"""How long an end waits for payments in flight: lnd's own timeout, and a little."""
FAREWELL_SECONDS = 1.0
"""How long watchers have, at the end, to take what there is still for them."""
DOOR_GRACE_SECONDS = 2.0


@dataclass(slots=True)
class Daemon:
    """A running daemon: what it serves, and what asks it to end or to begin anew."""

    config: Config
    service: Service
    metrics: Metrics
    engines: dict[str, Engine]
    clock: Clock
    grpc_address: str = ""
    http_address: str = ""
    replay_requested: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def running(config: Config, nodes: Mapping[str, Node] | None = None) -> AsyncIterator[Daemon]:
    """A daemon for as long as the block lasts.

    nodes replaces the lnd adapters by name. Raises StoreRefused, ConfigError: nothing is left open.
    """
    config.check()
    config.require_node()
    async with AsyncExitStack() as stack:
        kind = "simulator" if config.simulator else "lnd"
        settings = config.nodes
        if "data_dir" not in config.written:
            with suppress(OSError):  # open_folder says why it cannot be
                await asyncio.to_thread(
                    config.data_dir.parent.mkdir, mode=0o755, parents=True, exist_ok=True
                )
        folder = open_folder(config.data_dir, kind)
        stack.callback(folder.close)
        if config.simulator:
            settings = (*settings, await _simulated(stack, config.data_dir))
        metrics = Metrics(__version__, kind)
        store = SqliteStore(folder, observe=lambda seconds, _: metrics.committed(seconds))
        snapshot = store.load()
        stack.push_async_callback(store.close)
        require_known_nodes(snapshot, frozenset(node.name for node in settings))
        key = load_admin_key(config.data_dir)
        clock = BootClock(int(snapshot.settings.get(MARK) or 0))
        feed = Feed(start_cursor(snapshot.settings, latest_ns(clock)))
        build = Build.of(
            store,
            snapshot,
            clock,
            folder.secret,
            Telling(metrics, feed, clock),
            limit_msat=config.spend_limit.amount_msat,
            period_ns=config.spend_limit.period_ns,
            on_store_failed=lambda shared, text: halt_all(shared, Halt.STORE_FAILED, text),
        )
        house, desk = _House(config, store, build), build.desk
        # nobody waits for it: a journal that fails is noticed by the heartbeat
        desk.commit(Facts(settings=[(LAST_CURSOR, "")]))
        adapters = nodes or {node.name: _lnd(node) for node in settings}
        outbox = make_outbox(config.webhook, desk, snapshot, clock, metrics)
        metered = {name: MeteredNode(node, metrics.node_called) for name, node in adapters.items()}
        engines = {node.name: house.engine(node, metered[node.name], snapshot) for node in settings}
        daemon, doors = await _open(stack, house, engines, snapshot, metrics, feed, key)
        if outbox is not None:
            stack.callback(
                start_delivery(
                    config.webhook,
                    outbox,
                    daemon.service,
                    engines,
                    desk,
                    clock,
                    metrics,
                    house.time_known,
                ).cancel
            )
        tasks = [asyncio.ensure_future(house.supervised(engine)) for engine in engines.values()]
        try:
            yield daemon
        finally:
            await doors.close()
            await _end(engines, tasks)
            await doors.end(feed, desk)


async def serve(
    config: Config, stop: asyncio.Event, ready: Callable[[Daemon], None], reload: Reload
) -> None:
    """Run until stop is set; build the house anew from the journal whenever that is asked for, or
    the configuration is another.

    ready is called with each daemon when its doors are open. Raises what running raises, but goes
    back to the configuration before if a new one turns out to be wrong.
    """
    good = None
    while not stop.is_set():
        try:
            async with running(config) as daemon:
                listens = replace(
                    config.api, grpc_listen=daemon.grpc_address, http_listen=daemon.http_address
                )
                good = config = replace(config, api=listens)
                ready(daemon)
                config = await _until_another(config, daemon, stop, reload)
        except ConfigError as error:
            if good is None or config is good:
                raise
            reload.refuse(error)
            config = good


async def _until_another(
    config: Config, daemon: Daemon, stop: asyncio.Event, reload: Reload
) -> Config:
    """Wait until the house is to end, or to be built anew; with which configuration."""
    while True:
        daemon.metrics.config_reload_success = reload.success
        waits = [
            asyncio.ensure_future(event.wait())
            for event in (stop, daemon.replay_requested, reload.asked)
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if stop.is_set() or daemon.replay_requested.is_set():
            return config
        new = reload.next(config)
        if new is not config:
            return new


async def _open(
    stack: AsyncExitStack,
    house: _House,
    engines: dict[str, Engine],
    snapshot: Snapshot,
    metrics: Metrics,
    feed: Feed,
    admin_key: str,
) -> tuple[Daemon, _Doors]:
    config, build = house.config, house.build
    replay = asyncio.Event()
    ring = Keyring(build.secret, admin_key, snapshot.keys)

    def ask_replay() -> None:
        require_writable(config.data_dir)
        replay.set()

    service = Service(
        Nodes.of(build, engines),
        ring,
        feed,
        stream_keys=itertools.count(snapshot.last_stream_key + 1),
        preimage=lambda owner: derive_preimage(build.secret, owner, 0),
        totals=metrics.totals,
        replay=ask_replay,
        settings=config.streams,
        invoice_settings=config.invoices,
    )

    def figures() -> dict[str, dict[str, float]]:
        metrics.recovery_seconds = max(engine.link.recovery_seconds for engine in engines.values())
        return {name: _figures(engine, build.clock.now_ns()) for name, engine in engines.items()}

    metrics.watch(service.sending.report, figures)
    beats = Beats(house.halt, lambda seconds: setattr(metrics, "loop_lag_seconds", seconds))
    heartbeat = Heartbeat(
        house.store,
        build.desk,
        build.shared,
        build.clock,
        config.history_keep_ns,
        beats,
        build.timekeeping,
    )
    heartbeat.start()
    keys = Keys(ring, build.clock, config.api.requests_per_second, house.time_known)
    calls, rpcs = Calls(keys, metrics.called), served(service)
    tls = await asyncio.to_thread(_tls, house)
    grpc_door = GrpcDoor(calls, rpcs, config.api.grpc_listen, service.sending.unready, tls)
    app = make_app(
        metrics.render, service.sending.unready, Gateway(calls, rpcs), config.api.cors_origins
    )
    http_door = HttpDoor(app, config.api.http_listen, tls)
    daemon = Daemon(config, service, metrics, engines, build.clock, replay_requested=replay)
    daemon.http_address = await http_door.start()
    stack.push_async_callback(http_door.stop)
    daemon.grpc_address = await grpc_door.start()
    stack.push_async_callback(grpc_door.stop, DOOR_GRACE_SECONDS)
    for watch in (heartbeat.run, partial(_watch_keys, service, tls)):
        stack.callback(asyncio.ensure_future(house.watched(watch)).cancel)
    return daemon, _Doors(calls, grpc_door)


@dataclass(frozen=True, slots=True)
class _Doors:
    """The end as callers see it: first nothing new, then what was under way, then the watchers."""

    calls: Calls
    grpc: GrpcDoor

    async def close(self) -> None:
        self.calls.close()
        await self.grpc.close()

    async def end(self, feed: Feed, desk: Desk) -> None:
        """Cut what still waits, tell the watchers where to go on, and keep that place for the next
        run.
        """
        self.calls.cut()
        cursor = await feed.end(FAREWELL_SECONDS)
        with suppress(StoreFailed):
            await desk.durable(Facts(settings=[(LAST_CURSOR, str(cursor))]))


async def _watch_keys(service: Service, tls: Tls | None) -> None:
    """Once a second: which API keys have expired, which certificate is in force."""
    while True:
        await service.keys.end_expired()
        if tls is not None:
            tls.look()
        await asyncio.sleep(1.0)


def _tls(house: _House) -> Tls | None:
    config, api = house.config, house.config.api
    if api.tls_cert is not None and api.tls_key is not None:
        return Tls(api.tls_cert, api.tls_key)
    if not api.tls:
        return None

    def now() -> datetime.datetime:
        return datetime.datetime.fromtimestamp(house.build.clock.now_ns() / SECOND_NS, datetime.UTC)

    own = OwnCertificate(
        config.data_dir, (api.grpc_listen, api.http_listen), api.tls_names, now, house.time_known
    )
    return Tls(own.cert, own.key, own)


async def _end(engines: Mapping[str, Engine], tasks: Sequence[asyncio.Future[None]]) -> None:
    for engine in engines.values():
        engine.stopping = True
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            await asyncio.gather(
                *(
                    engine.drain()
                    for engine, task in zip(engines.values(), tasks, strict=True)
                    if not task.done()
                )
            )
    except TimeoutError:
        log.warning(
            "payments are still in flight after %d s: the next start finds out what became of them",
            DRAIN_SECONDS,
        )
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result


@dataclass(slots=True)
class _House:
    """What every engine is built of, and who stops all if something breaks."""

    config: Config
    store: Store
    build: Build

    def time_known(self) -> bool:
        return self.build.timekeeping.known

    def engine(self, node: NodeSettings, adapter: Node, snapshot: Snapshot) -> Engine:
        streams = self.config.streams
        engine = self.build.engine(
            adapter,
            limits=Limits(
                node.max_in_flight_per_destination,
                streams.stall_after,
                node.cltv_limit,
                node.timeout_ns // SECOND_NS,
                node.hold_after_ns,
            ),
            pace=Pace(node.max_payments_per_second, node.max_in_flight),
            patience=Patience(
                node.ghost_after_ns,
                node.hold_after_ns,
                streams.in_doubt_after_ns,
                node.orphan_write_off_after_ns,
            ),
            terms=LinkTerms(self.build.secret, node.network, streams.min_payment_msat),
        )
        engine.replay(snapshot, self.build.clock.now_ns())
        return engine

    async def supervised(self, engine: Engine) -> None:
        """Run engine; should it break, stop everything rather than guess (money rule 10)."""
        try:
            await engine.run()
        except Exception as error:
            log.exception("the engine of node %s broke", engine.name)
            text = (
                f"the engine of node {engine.name} broke ({error}); nothing is paid until `streamer"
                " sending start` replays the journal"
            )
            self.halt(Halt.STORE_FAILED, text)

    async def watched(self, watch: Callable[[], Awaitable[None]]) -> None:
        """Run what watches beside the engines; should it break, nothing is paid unwatched. Ends
        with the store, as the heartbeat tells.
        """
        try:
            await watch()
        except StoreFailed:
            return
        except Exception as error:
            log.exception("what watches beside the engines broke")
            text = (
                f"what watches beside the engines broke ({error}); nothing is paid until `streamer"
                " sending start` replays the journal"
            )
            self.halt(Halt.STORE_FAILED, text)

    def halt(self, halt: Halt, text: str) -> None:
        """Stop sending of the whole daemon, and say so once."""
        halt_all(self.build.shared, halt, text)


def halt_all(shared: Shared, halt: Halt, text: str) -> None:
    """Stop sending of the whole daemon, and say so once."""
    if halt not in shared.switch.halts:
        log.error("sending is stopped (%s): %s", halt, text)
        shared.switch.stop(halt, text)


def require_known_nodes(snapshot: Snapshot, names: frozenset[str]) -> None:
    """Raise ConfigError if the journal has open payments, or streams that have not ended, of nodes
    that are not configured by this name.

    Nobody would look after them, and no budget would count what is open.
    """
    payments = Counter(payment.node for payment in snapshot.open_payments)
    streams = Counter(stream.terms.node for stream in snapshot.streams if stream.state not in ENDED)
    missing = sorted((payments.keys() | streams.keys()) - names)
    if missing:
        found = "; ".join(
            f"{streams[name]} streams and {payments[name]} open payments of the node {name}"
            for name in missing
        )
        raise ConfigError(
            f"the journal has {found}, which is not configured: configure it again by this name,"
            " reachable or not; before it is taken out, cancel its streams, and let its open"
            " payments end or write them off"
        )


def _lnd(node: NodeSettings) -> LndNode:
    return LndNode(node.name, access_of(node))


async def _simulated(stack: AsyncExitStack, data_dir: Path) -> NodeSettings:
    """A simulated network beside the journal, its first node as ours."""
    from streamer.simulator.serve import Plan, start_network

    await asyncio.to_thread(data_dir.mkdir, mode=0o700, parents=True, exist_ok=True)
    plan = Plan(nodes=4, state=data_dir / "simulator.json")
    try:
        served = await stack.enter_async_context(start_network(data_dir / "simulator", plan))
    except OSError as error:
        raise ConfigError(
            f"the simulated network cannot be started: {error.filename}: {error.strerror}"
        ) from None
    except ValueError as error:
        raise ConfigError(f"the simulated network cannot be started: {error}") from None
    first = served.nodes[0]
    node = NodeSettings(name="simulator", rpcserver=first.rpcserver, network="regtest")
    return replace(node, tlscertpath=Path(first.tlscertpath), macaroonpath=Path(first.macaroonpath))


def _figures(engine: Engine, now_ns: int) -> dict[str, float]:
    """The gauges of one node that are read at the scrape (metrics.NODE_GAUGES)."""
    slots, payments = engine.book.slots, engine.book.payments.values()
    marks = [payment.mark for payment in payments]
    oldest = min((payment.planned_ns for payment in payments), default=now_ns)
    return {
        "payments_open": len(payments),
        "payments_in_doubt": len(slots.doubtful),
        "payments_held": marks.count(Mark.HELD),
        "payments_orphaned": marks.count(Mark.ORPHAN),
        "payments_lost_sight": marks.count(Mark.LOST_SIGHT),
        "in_doubt_msat": sum(payment.amount_msat for payment in slots.doubtful.values()),
        "oldest_open_payment_seconds": (now_ns - oldest) / SECOND_NS,
        "window_limit": engine.window.limit,
    }
