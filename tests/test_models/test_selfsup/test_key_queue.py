import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from mmcp.models.selfsup import KeyQueue


def numbered(first, count, channels=3):
    """Keys that are told apart by their first entry."""
    keys = torch.zeros(count, channels)
    keys[:, 0] = torch.arange(first, first + count)
    return keys


def test_it_starts_full_of_random_unit_vectors():
    queue = KeyQueue(8, 20)
    torch.testing.assert_close(queue.keys.norm(dim=0), torch.ones(20))
    assert len(set(queue.keys[0].tolist())) == 20
    assert float(queue.fill) == 0


@given(
    length=st.integers(1, 9),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=8),
)
def test_the_newest_keys_remain(length, sizes):
    """Whatever the batches: also K % B != 0, B > K, a short last one."""
    queue = KeyQueue(3, length)
    start = queue.keys[0].tolist()
    written = 0
    for size in sizes:
        queue.enqueue(numbered(written, size))
        written += size
    places = list(start)
    for value in range(written):
        places[value % length] = value
    assert queue.keys[0].tolist() == places
    assert int(queue.pointer) == written % length
    assert float(queue.fill) == pytest.approx(
        100 * min(written, length) / length
    )


def test_keys_are_kept_in_float32():
    queue = KeyQueue(4, 6)
    keys = F.normalize(torch.randn(2, 4), dim=1)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        queue.enqueue(keys.to(torch.bfloat16))
    assert queue.keys.dtype == torch.float32
    assert torch.equal(queue.keys[:, :2], keys.to(torch.bfloat16).float().t())


def test_keys_carry_no_graph():
    queue = KeyQueue(4, 6)
    queue.enqueue(torch.randn(2, 4, requires_grad=True))
    assert not queue.keys.requires_grad


def test_a_checkpoint_holds_all_of_it():
    one, two = KeyQueue(3, 5), KeyQueue(3, 5)
    one.enqueue(numbered(0, 7))
    two.load_state_dict(one.state_dict())
    for queue in (one, two):
        queue.enqueue(numbered(7, 2))
    assert torch.equal(one.keys, two.keys)
    assert one.keys[0].tolist() == [5, 6, 7, 8, 4]
    assert float(two.fill) == 100


def test_enqueuing_compiles_without_a_break():
    """``int(pointer)`` would break the graph and wait for the GPU."""
    torch.compiler.reset()
    queue, plain = KeyQueue(3, 5), KeyQueue(3, 5)
    plain.load_state_dict(queue.state_dict())
    enqueue = torch.compile(queue.enqueue, backend='aot_eager', fullgraph=True)
    for first in (0, 3, 6):
        enqueue(numbered(first, 3))
        plain.enqueue(numbered(first, 3))
    for name, buffer in queue.named_buffers():
        assert torch.equal(buffer, plain.get_buffer(name))


def test_a_queue_without_places_is_refused():
    with pytest.raises(ValueError, match='at least 1, but got 0'):
        KeyQueue(3, 0)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_keys_that_are_not_finite_are_not_kept(value):
    """One of them would make every loss nan until it is overwritten."""
    queue = KeyQueue(3, 5)
    queue.enqueue(numbered(1, 5))
    keys = numbered(6, 3)
    keys[1, 2] = value
    queue.enqueue(keys)
    assert queue.keys[0].tolist() == [6, 2, 8, 4, 5]
    assert queue.keys.isfinite().all()
    assert int(queue.pointer) == 3
