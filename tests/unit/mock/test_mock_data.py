"""The fake tokenizer, data, loss and model."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dexhand.mock.dataset import PROMPT_LENGTH, STATE_SIZE, MockDataset
from dexhand.mock.model import MockLoss, MockModel, MockModelPolicy, load_weights
from dexhand.mock.tokenizer import DIRECTIONS, LARGEST_DISTANCE, PADDING, UNKNOWN, MockTokenizer

MOVES = st.builds(
    "move {} {}cm".format, st.sampled_from(DIRECTIONS), st.integers(min_value=1, max_value=LARGEST_DISTANCE)
)


@given(st.lists(MOVES, min_size=1, max_size=3).map(" and ".join))
def test_an_action_survives_encoding_and_decoding(text: str) -> None:
    """Word for word, padded or not."""
    tokenizer = MockTokenizer()
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == tokenizer.decode([*tokens, PADDING, PADDING]) == text
    assert all(0 <= token < tokenizer.vocabulary_size for token in tokens)


def test_unknown_words_are_marked() -> None:
    """And numbers that are no tokens are refused."""
    tokenizer = MockTokenizer()
    assert tokenizer.encode("move somewhere") == [*tokenizer.encode("move"), UNKNOWN]
    assert tokenizer.decode([UNKNOWN]) == "<unknown>"
    with pytest.raises(ValueError, match="-1 is not a token"):
        tokenizer.decode([-1])


def test_a_batch_has_the_structure_that_is_written_down() -> None:
    """Shapes, types, padding, and bounds of the state."""
    batch = MockDataset(image_size=32).batch(0, 5)
    assert (batch.images.shape, batch.images.dtype) == ((5, 32, 32, 3), torch.uint8)
    assert (batch.tokens.shape, batch.tokens.dtype) == ((5, PROMPT_LENGTH), torch.int64)
    assert bool((batch.token_mask == (batch.tokens != PADDING)).all())
    assert batch.state.shape == (5, STATE_SIZE)
    assert float(batch.state.min()) >= -1
    assert float(batch.state.max()) < 1


def test_everything_in_a_batch_belongs_to_its_keys() -> None:
    """Read off pictures and prompts, also where the row begins anew."""
    dataset = MockDataset(7, image_size=8)
    batch = dataset.batch(5, 4)
    assert batch.keys == (5, 6, 0, 1)
    assert tuple(dataset.key_of(image) for image in batch.images) == batch.keys
    assert [dataset.tokenizer.decode(row.tolist()) for row in batch.tokens] == [
        dataset.prompt(key) for key in batch.keys
    ]


def test_batches_are_a_function_of_seed_and_position() -> None:
    """However they are cut; another seed gives others."""
    one, again, other = (MockDataset(50, image_size=8, seed=seed) for seed in (1, 1, 2))
    whole, parts = one.batch(40, 20), [again.batch(40, 12), again.batch(52, 8)]
    for name in ("images", "tokens", "token_mask", "state"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts]))
        assert name == "token_mask" or not torch.equal(getattr(whole, name), getattr(other.batch(40, 20), name))


@pytest.mark.parametrize("seed", range(3))
def test_losses_are_distributed_as_documented(seed: int) -> None:
    """10 to 15 % of a few hundred samples between 3 and 10, the rest between 0.5 and 2."""
    losses = MockLoss()(MockDataset(image_size=4, seed=seed).state(0, 800))
    high = losses[losses >= 3.0]
    assert 0.10 < len(high) / len(losses) < 0.15
    assert float(high.max()) < 10.0
    assert float(losses.min()) >= 0.5
    assert float(losses[losses < 3.0].max()) <= 2.0


def test_a_sample_seen_again_has_another_loss() -> None:
    """So that something depends on keeping the higher one."""
    dataset, loss = MockDataset(10, image_size=4), MockLoss()
    first, second = loss(dataset.state(0, 10)), loss(dataset.state(10, 10))
    assert bool((first != second).all())


def test_the_loss_is_known_and_its_gradient_is_real() -> None:
    """The value does not depend on the parameters; steps along the gradient make predictions better."""
    dataset = MockDataset(20, image_size=8)
    model = MockModel(torch.Generator().manual_seed(0))
    batch = dataset.batch(0, 20)
    entropies: list[float] = []
    for _ in range(20):
        losses, predictions = model.compute_loss(batch)
        assert torch.equal(losses, MockLoss()(batch.state))
        entropies.append(float(predictions.entropy))
        gradients = torch.autograd.grad(losses.mean(), list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients):
                parameter -= 0.5 * gradient
    assert all(after < before for before, after in itertools.pairwise(entropies))


def test_diverged_parameters_show_in_the_loss() -> None:
    """As NaN."""
    model = MockModel(torch.Generator())
    with torch.no_grad():
        model.head.fill_(float("inf"))
    losses, _ = model.compute_loss(MockDataset(20, image_size=8).batch(0, 3))
    assert bool(losses.isnan().all())


def test_the_policy_acts_with_the_models_weights() -> None:
    """Within bounds, the same every time, row by row; weights that do not fit change nothing."""
    model = MockModel(torch.Generator().manual_seed(1))
    policy = MockModelPolicy(model.state_dict(), torch.device("cpu"))
    states = MockDataset(image_size=4).state(0, 4)
    actions = policy.act(states)
    assert actions.shape == (4, len(DIRECTIONS))
    assert float(actions.abs().max()) <= 1
    torch.testing.assert_close(policy.act(states[1:2]), actions[1:2])
    with pytest.raises(ValueError, match="head: checkpoint"):
        policy.load_state_dict({"model": {**model.state_dict(), "head": torch.zeros(2, 2)}})
    assert torch.equal(policy.act(states), actions)
    policy.load_state_dict({"model": MockModel(torch.Generator().manual_seed(2)).state_dict()})
    assert not torch.equal(policy.act(states), actions)


@pytest.mark.parametrize(("name", "message"), [("more", "needed nothing of this name"), ("head", "lacks it")])
def test_weights_must_be_complete_and_no_more(name: str, message: str) -> None:
    """The first that does not fit is named."""
    model = MockModel(torch.Generator())
    weights = dict(model.state_dict())
    if name in weights:
        del weights[name]
    else:
        weights[name] = torch.zeros(1)
    with pytest.raises(ValueError, match=message):
        load_weights(model, weights)


@pytest.mark.parametrize("settings", [{"size": 0}, {"size": 2**16 + 1}, {"image_size": 2}, {"image_size": 10}])
def test_data_that_cannot_be_made_are_refused(settings: dict[str, int]) -> None:
    """Naming the setting."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        MockDataset(**settings)
