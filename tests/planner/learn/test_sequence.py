"""TRIM-Seq behind the policy interface."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from kde.errors import ArtefactError, InputError
from planner.decision import Action, Carry, Decision, Proposal, UnknownPolicyError
from planner.learn.judge import Bench
from planner.learn.result import finish
from planner.learn.rollout import Playground
from planner.learn.sequence import SequenceArtefact
from planner.learn.sequence_policy import SequencePolicy, sequence_policies
from planner.learn.settings import Learner, Preset, TrainingSettings
from planner.learn.training import Training, acting
from planner.local import LocalPlanner
from planner.policies.catalogue import Catalogue
from planner.policies.columns import ProposalColumns, decide_columns
from planner.policies.features import FeatureSet, Featurizer
from planner.policies.offer import Offer
from planner.pomdp import RoutingPOMDP
from planner.table import PolicyTable

LAM = 0.002


def _trained(pomdp: RoutingPOMDP, out: Path, **changes: object) -> Path:
    small = {"iterations": 6, "episodes": 128, "width": 16, "epochs": 1, "minibatches": 2} | changes
    training = Training(pomdp, LAM, Learner.SEQ, TrainingSettings.of(Preset.DEFAULT, Learner.SEQ, small), 0)
    trained = training.run(out)
    finish(training, trained, Bench.of(pomdp, LAM, episodes=500, seed=1), inputs={}, out=out)
    training.forget(out)
    return out


@pytest.fixture(scope="module")
def saved(pomdp: RoutingPOMDP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _trained(pomdp, tmp_path_factory.mktemp("seq") / "seq-0.002")


def test_the_least_earlier_score_can_be_shown_too(pomdp: RoutingPOMDP, tmp_path: Path) -> None:
    policy = SequencePolicy.load(_trained(pomdp, tmp_path / "seq", features="least"))
    network, mean = policy.artefact.network, Featurizer.of(pomdp, FeatureSet.SEQUENCE_LEAST).tokens
    assert network.features is FeatureSet.SEQUENCE_LEAST
    rng, seen, carry, written = np.random.default_rng(0), [], None, False
    for step in range(1, 7):
        proposal = Proposal(
            step, 1.0 if step == 1 else rng.random(), rng.random(), int(rng.integers(1, 99)), final=False
        )
        numbers = 2 * proposal.newest - 1, proposal.tokens / mean - 1, 2.0 * written - 1, 2 * proposal.earlier - 1
        seen.append(numbers)
        with torch.no_grad():
            expected = float(network.latest(torch.tensor([seen], dtype=torch.float32)).log_odds[0]) > 0
        decision = policy.decide(proposal, carry)
        assert (decision.action is Action.REGENERATE) == expected
        carry, written = decision.carry, expected


async def test_it_decides_locally_what_it_does_at_play(saved: Path, pomdp: RoutingPOMDP) -> None:
    policy = SequencePolicy.load(saved)
    planner = LocalPlanner(Catalogue(None, own={policy.id: policy}))
    play = Playground.of(pomdp, LAM, FeatureSet.SEQUENCE)
    rollout = play.play(acting(policy.artefact.network), 40, np.random.default_rng(0))
    for episode in range(40):
        carry: Carry | None = None
        for t in range(int(rollout.alive[episode].sum())):
            score, length, _ = rollout.features[episode, t].tolist()
            tokens = round((length + 1) * play.featurizer.tokens)
            proposal = Proposal(t + 1, 1.0, (score + 1) / 2, tokens, final=False)
            decision = await planner.decide("seq:0.002", proposal, carry)
            assert (decision.action is Action.REGENERATE) == rollout.actions[episode, t]
            assert decision.table_hash == policy.table_hash
            carry = decision.carry
            assert carry.history is not None
            assert len(carry.history) == t + 1


def test_it_refuses_what_it_cannot_read(saved: Path) -> None:
    policy, later = SequencePolicy.load(saved), Proposal(2, 0.9, 0.9, 9, final=False)
    with pytest.raises(InputError, match="history"):
        policy.decide(later, Carry(None, Action.CONTINUE))
    decision: Decision | None = None
    for step in range(1, 7):
        carry = None if decision is None else decision.carry
        decision = policy.decide(Proposal(step, 1.0, 0.9, 9, final=False), carry)
    assert decision is not None
    with pytest.raises(InputError, match="trained on 6 steps"):
        policy.decide(Proposal(7, 1.0, 0.9, 9, final=False), decision.carry)
    columns = ProposalColumns.gather([(Proposal(1, 1.0, 0.9, 9, final=False), None)])
    with pytest.raises(InputError, match="one decision at a time"):
        decide_columns(policy, columns)


def test_no_server_offers_it() -> None:
    with pytest.raises(UnknownPolicyError, match="run TRIM-Seq locally"):
        Catalogue(None).get("seq:0.002")


def test_an_artefact_survives_its_disk(saved: Path, tmp_path: Path) -> None:
    artefact = SequenceArtefact.load(saved)
    assert artefact.save(tmp_path) == artefact.content_hash
    again = SequenceArtefact.load(tmp_path)
    for name, parameter in artefact.network.named_parameters():
        assert torch.equal(dict(again.network.named_parameters())[name], parameter)
    (tmp_path / "sequence.safetensors").write_bytes(b"nothing")
    with pytest.raises(ArtefactError):
        SequenceArtefact.load(tmp_path)


async def test_a_folder_offers_what_was_trained_into_it(saved: Path, table: PolicyTable, tmp_path: Path) -> None:
    table.save(tmp_path / "table")
    shutil.copytree(saved, tmp_path / "seq-0.002")
    planner = LocalPlanner(Offer.load(tmp_path, own=sequence_policies(tmp_path)).catalogue)
    first = Proposal(1, 1.0, 0.4, 20, final=False)
    decision = await planner.decide("seq:0.002", first, None)
    assert decision == SequencePolicy.load(saved).decide(first, None)
    assert (await planner.decide("pomdp:0.002", first, None)).belief is not None
    with pytest.raises(UnknownPolicyError, match="locally"):
        Offer.load(tmp_path).catalogue.get("seq:0.002")
    shutil.copytree(saved, tmp_path / "twice")
    with pytest.raises(InputError, match="twice answers for it too"):
        sequence_policies(tmp_path)
