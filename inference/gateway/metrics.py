"""What a gateway counts; docs/generation.md says what each metric means."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from inference.gateway.exchange import Exchange
    from inference.records import StepRecord

_ANSWER_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0)
_STAGE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class GatewayMetrics:
    """Counts since the gateway started.

    Attributes:
        registry: what an endpoint exposes.
        in_flight: completions under way.
    """

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        self.in_flight = Gauge("trim_gateway_in_flight", "Completions under way.", registry=own)
        self._requests = Counter(
            "trim_gateway_requests", "Requests that have ended.", ["model", "status"], registry=own
        )
        self._seconds = Histogram(
            "trim_gateway_request_seconds", "From request to end.", ["model"], buckets=_ANSWER_SECONDS, registry=own
        )
        self._first_step = Histogram(
            "trim_gateway_first_step_seconds",
            "From request to first step.",
            ["model"],
            buckets=_ANSWER_SECONDS,
            registry=own,
        )
        self._stages = Histogram(
            "trim_gateway_stage_seconds", "Waiting, a step.", ["stage"], buckets=_STAGE_SECONDS, registry=own
        )
        self._steps = Counter("trim_gateway_steps", "Decided steps.", ["author"], registry=own)
        self._tokens = Counter("trim_gateway_tokens", "Decoded tokens.", ["kind"], registry=own)
        self._fallbacks = Counter(
            "trim_gateway_fallback_decisions", "Decisions that no planner answered.", registry=own
        )

    def stepped(self, step: "StepRecord") -> None:
        """Count a step as soon as it is decided."""
        self._steps.labels(step.author.value).inc()
        self._tokens.labels(step.author.value).inc(step.tokens)
        self._tokens.labels("discarded").inc(step.discarded_tokens)
        self._fallbacks.inc(step.fallback)
        for stage in ("propose", "score", "decide", "regenerate"):
            if seconds := getattr(step, f"{stage}_seconds"):
                self._stages.labels(stage).observe(seconds)

    def ended(self, exchange: "Exchange") -> None:
        """Count a request and its time."""
        self._requests.labels(exchange.model, str(exchange.status)).inc()
        if exchange.model == "none":
            return
        self._seconds.labels(exchange.model).observe(exchange.seconds)
        if exchange.first_step_seconds is not None:
            self._first_step.labels(exchange.model).observe(exchange.first_step_seconds)
