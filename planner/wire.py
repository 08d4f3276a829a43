"""Between the wire's messages and the words of a decision. Everything that comes in is checked here."""

from kde.errors import InputError
from planner.decision import Action, Belief, Carry, Decision, Proposal
from planner.v1 import planner_pb2 as pb

_FROM_WIRE = {pb.ACTION_CONTINUE: Action.CONTINUE, pb.ACTION_REGENERATE: Action.REGENERATE}


def request_message(policy: str, proposal: Proposal, carry: Carry | None) -> pb.DecideRequest:
    """The request that asks for a decision."""
    features = pb.Features(earlier=proposal.earlier, newest=proposal.newest)
    message = pb.DecideRequest(
        policy_id=policy, step=proposal.step, features=features, token_count=proposal.tokens, final=proposal.final
    )
    if carry is not None:
        message.last_action = action_to_wire(carry.action)
        if carry.belief is not None:
            message.belief.CopyFrom(_belief_message(carry.belief))
        if carry.spent is not None:
            message.spent_tokens = carry.spent
    return message


def read_request(message: pb.DecideRequest) -> tuple[str, Proposal, Carry | None]:
    """Policy id, proposal and carry of a request.

    Raises:
        InputError: a field is absent, inconsistent or out of range.
    """
    policy = message.policy_id
    if not policy:
        if message.WhichOneof("policy") != "lam":
            raise InputError("request", field="policy_id", value="", remedy="name a policy, for example thr:0.5")
        policy = f"pomdp:{message.lam!r}"
    present = message.HasField
    if not (present("step") and present("token_count") and present("final")):
        absent = next(name for name in ("step", "token_count", "final") if not message.HasField(name))
        raise InputError("request", field=absent, value=None, remedy="it must be set")
    return policy, _read_proposal(message), _read_carry(message)


def response_message(decision: Decision) -> pb.DecideResponse:
    """The response that carries a decision."""
    message = pb.DecideResponse()  # field by field: half the time of keyword arguments
    message.action = action_to_wire(decision.action)
    if decision.belief is not None:
        belief = message.belief
        belief.correct, belief.derailed, belief.recoverable = decision.belief
    if decision.break_even_tokens is not None:
        message.break_even_tokens = decision.break_even_tokens
    if decision.expected_strong_tokens is not None:
        message.expected_strong_tokens = decision.expected_strong_tokens
    if decision.advantage is not None:
        message.advantage = decision.advantage
    if decision.table_hash:
        message.table_hash = decision.table_hash
    if decision.spent is not None:
        message.spent_tokens = decision.spent
    return message


def read_response(policy: str, message: pb.DecideResponse) -> Decision:
    """The decision that a response carries.

    Raises:
        InputError: the response names no action.
    """
    return Decision(
        action=action_from_wire(message.action),
        policy=policy,
        belief=_read_belief("response", message.belief) if message.HasField("belief") else None,
        break_even_tokens=message.break_even_tokens if message.HasField("break_even_tokens") else None,
        expected_strong_tokens=message.expected_strong_tokens if message.HasField("expected_strong_tokens") else None,
        advantage=message.advantage if message.HasField("advantage") else None,
        table_hash=message.table_hash,
        spent=message.spent_tokens if message.HasField("spent_tokens") else None,
    )


def action_to_wire(action: Action) -> "pb.Action.ValueType":
    """The wire's number for an action."""
    return pb.ACTION_CONTINUE if action is Action.CONTINUE else pb.ACTION_REGENERATE


def action_from_wire(number: "pb.Action.ValueType") -> Action:
    """The action that a response names.

    Raises:
        InputError: it names none that this version knows.
    """
    if number not in _FROM_WIRE:
        remedy = "the planner speaks another version: upgrade one of the two"
        raise InputError("response", field="action", value=number, remedy=remedy)
    return _FROM_WIRE[number]


def _read_proposal(message: pb.DecideRequest) -> Proposal:
    match message.WhichOneof("observation"):
        case "features":
            features = message.features
            if not (features.HasField("earlier") and features.HasField("newest")):
                absent = "newest" if features.HasField("earlier") else "earlier"
                raise InputError("request", field=f"features.{absent}", value=None, remedy="it must be set")
            return Proposal(message.step, features.earlier, features.newest, message.token_count, message.final)
        case "scores":
            if len(message.scores.values) != message.step:
                count = len(message.scores.values)
                raise InputError(
                    "request",
                    field="scores",
                    value=f"{count} values",
                    remedy=f"step {message.step} needs {message.step}",
                )
            return Proposal.from_scores(tuple(message.scores.values), tokens=message.token_count, final=message.final)
        case _:
            raise InputError("request", field="observation", value=None, remedy="give scores or features")


def _read_carry(message: pb.DecideRequest) -> Carry | None:
    number = message.last_action
    belief = _read_belief("request", message.belief) if message.HasField("belief") else None
    spent = message.spent_tokens if message.HasField("spent_tokens") else None
    if number == pb.ACTION_UNSPECIFIED:
        if belief is not None or spent is not None:
            raise InputError(
                "request",
                field="last_action",
                value="ACTION_UNSPECIFIED",
                remedy="a belief and tokens spent come with the action of that decision",
            )
        return None
    if number not in _FROM_WIRE:
        raise InputError("request", field="last_action", value=number, remedy="ACTION_CONTINUE or ACTION_REGENERATE")
    return Carry(belief, _FROM_WIRE[number], spent)


def _belief_message(belief: Belief) -> pb.Belief:
    return pb.Belief(correct=belief[0], derailed=belief[1], recoverable=belief[2])


def _read_belief(what: str, message: pb.Belief) -> Belief:
    present = message.HasField
    if not (present("correct") and present("derailed") and present("recoverable")):
        raise InputError(what, field="belief", value=_shown(message), remedy="all three probabilities must be set")
    return (message.correct, message.derailed, message.recoverable)


def _shown(message: pb.Belief) -> str:
    return " ".join(str(message).split())
