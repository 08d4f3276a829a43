"""The Prometheus endpoint: a thread that reads the counts when it is asked."""

import time
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from kde.errors import TrimError
from planner.policies.columns import CONTINUE, REGENERATE
from planner.service.admission import LoadGate
from planner.service.decision_log import DecisionLog
from planner.service.metrics import Histogram, ServiceMetrics
from planner.service.tables import TableStore


class PlannerCollector(Collector):
    """The metrics of one worker; docs/operations.md says what each means."""

    def __init__(
        self, metrics: ServiceMetrics, store: TableStore, gate: LoadGate, decision_log: DecisionLog | None
    ) -> None:
        self._metrics, self._store, self._gate, self._decision_log = metrics, store, gate, decision_log

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        yield from self._traffic()
        yield from self._tables()
        yield _gauge("trim_queue_wait_seconds", "Time that calls spend in the queue now.", self._gate.wait_seconds)
        if self._decision_log is not None:
            lines = CounterMetricFamily("trim_decision_log_lines", "Lines of the decision log.", labels=["outcome"])
            lines.add_metric(["written"], self._decision_log.written)
            lines.add_metric(["dropped"], self._decision_log.dropped)
            yield lines

    def _traffic(self) -> Iterator[Metric]:
        counted = self._metrics
        methods = list(counted.methods.items())
        calls = {(method, code): count for method, counts in methods for code, count in counts.codes.copy().items()}
        yield _counter("trim_calls", "Finished calls.", ["method", "code"], calls)
        seconds = HistogramMetricFamily("trim_call_seconds", "Time inside the handler.", labels=["method"])
        for method, counts in methods:
            seconds.add_metric([method], *_buckets(counts.seconds))
        yield seconds
        decisions = {
            (policy, name): tally[code]
            for policy, tally in list(counted.decisions.items())
            for code, name in ((CONTINUE, "continue"), (REGENERATE, "regenerate"))
        }
        yield _counter("trim_decisions", "Decisions.", ["policy", "action"], decisions)
        refusals = counted.refusals.copy()
        yield _counter("trim_refusals", "Refused calls, rows and messages.", ["code", "field"], refusals)
        entropy = HistogramMetricFamily("trim_belief_entropy_nats", "Entropy of the belief after a decision.")
        entropy.add_metric([], *_buckets(counted.entropy))
        yield entropy

    def _tables(self) -> Iterator[Metric]:
        store = self._store
        tables = GaugeMetricFamily(
            "trim_table_info", "1 for every policy on offer and its version.", labels=["policy", "table_hash"]
        )
        for lam, table in store.catalogue.tables.items():
            tables.add_metric([f"pomdp:{lam!r}", table.content_hash], 1)
        yield tables
        yield _gauge("trim_table_age_seconds", "Time since the tables were loaded.", time.time() - store.loaded_at)
        yield _counter(
            "trim_table_reloads",
            "New tables, taken or refused.",
            ["outcome"],
            {("taken",): store.reloads, ("refused",): store.refused_reloads},
        )


class MetricsEndpoint:
    """Serves metrics over HTTP until closed.

    Raises:
        TrimError: the address is taken.
    """

    def __init__(self, host: str, port: int, collector: Collector) -> None:
        registry = CollectorRegistry()
        registry.register(collector)
        ProcessCollector(registry=registry)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise TrimError(f"--metrics: cannot bind {host}:{port}; choose another address") from error

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _counter(name: str, text: str, labels: list[str], counts: Any) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, count in counts.items():
        family.add_metric(list(key), count)
    return family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Cumulative counts by upper bound, and the sum."""
    bounds = [*map(str, histogram.bounds), "+Inf"]
    reached, cumulative = 0, []
    for bound, count in zip(bounds, histogram.counts, strict=True):
        reached += count
        cumulative.append((bound, float(reached)))
    return cumulative, histogram.total
