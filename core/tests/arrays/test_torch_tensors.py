"""Store tensors of torch, and count the copies."""

import pytest

pytest.importorskip("numpy")
torch = pytest.importorskip("torch", reason="no CPU wheel of torch for this Python")

from psk.errors import CodecRefusedError, PayloadError, SerializationError  # noqa: E402  torch decides whether to go on
from psk.wire import Codec, Payload, codec_for, codecs, decode, encode  # noqa: E402

MATRIX = torch.arange(12_000, dtype=torch.float32).reshape(100, 120)
TENSORS = {
    "float32": MATRIX,
    "one dimension": torch.arange(5000),
    "transposed": MATRIX.T,
    "channels last": torch.rand(2, 3, 20, 30).to(memory_format=torch.channels_last),
    "expanded": torch.rand(100, 1).expand(100, 1000),
    "overlapping": torch.arange(5000).unfold(0, 100, 1),
    "strided": MATRIX[::2, ::3],
    "a few rows": MATRIX[3:90],
    "a view in the middle": MATRIX.view(-1)[100:11_000],
    "small": torch.tensor([1, 2, 3]),
    "no dimension": torch.tensor(7.5),
    "empty": torch.empty(0, 4),
    "empty in the middle": torch.empty(4, 0, 3),
    "bool": MATRIX > 50,
    "bfloat16": MATRIX.bfloat16(),
    "float16": MATRIX.half(),
    "float8": MATRIX.to(torch.float8_e4m3fn),
    "float64": MATRIX.double(),
    "int8": MATRIX.to(torch.int8),
    "uint8": MATRIX.to(torch.uint8),
    "uint16": MATRIX.to(torch.uint16),
    "complex64": MATRIX + 1j,
    "needs gradient": MATRIX.clone().requires_grad_(),
    "a result": MATRIX.clone().requires_grad_() * 2,
    "parameter": torch.nn.Parameter(MATRIX.clone()),
    "frozen parameter": torch.nn.Parameter(MATRIX.clone(), requires_grad=False),
    "of numpy": torch.from_numpy(MATRIX.numpy().copy()),
    "shared memory": MATRIX.clone().share_memory_(),
}
WITH_GAPS = {"strided"}


def same(found, tensor):
    if found.dtype.itemsize == 1:  # float8 cannot be compared
        found, tensor = found.contiguous().view(torch.uint8), tensor.contiguous().view(torch.uint8)
    return torch.equal(found, tensor)


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_comes_back_equal(through, name):
    tensor = TENSORS[name]
    found = through(tensor)
    assert type(found) is type(tensor)
    assert (found.dtype, found.shape, found.requires_grad) == (tensor.dtype, tensor.shape, tensor.requires_grad)
    assert found.is_leaf
    assert same(found.detach(), tensor.detach())
    if name not in WITH_GAPS:
        assert found.stride() == tensor.stride()


@pytest.mark.parametrize("wrap", [lambda tensor: tensor, lambda tensor: {"a": [tensor]}], ids=["alone", "inside"])
@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_is_not_copied_unless_it_has_gaps(trip, name, wrap):
    tensor = TENSORS[name]
    sent = trip(wrap(tensor))
    found = sent.found if wrap(0) == 0 else sent.found["a"][0]
    assert type(found) is type(tensor)
    assert same(found.detach(), tensor.detach())
    if tensor.untyped_storage().nbytes() >= 4096 and tensor.numel():
        assert sent.in_band < 500
        assert sent.sent(tensor.data_ptr()) == (name not in WITH_GAPS)
        assert sent.received(found.data_ptr())


def test_only_the_elements_of_a_view_travel(trip):
    large = torch.zeros(1_000_000)
    assert trip(large[10:20]).payload.nbytes < 1000
    assert trip({"a": large[10:20]}).payload.nbytes < 1000
    assert trip(large.view(1000, 1000)[:, 0]).payload.nbytes < 5000
    assert trip(torch.zeros(1).expand(1_000_000)).payload.nbytes < 1000


def test_each_reader_has_a_tensor_of_its_own_to_write_to(store):
    key = store.put(torch.zeros(5000))
    first, second = store.get(key), store.get(key)
    first += 1
    assert (second.sum(), store.get(key).sum()) == (0, 0)


def test_training_goes_on_with_what_arrived(through):
    weight = through(torch.nn.Parameter(torch.ones(5000)))
    (weight * 3).sum().backward()
    torch.optim.SGD([weight], lr=1.0).step()
    assert weight.sum() == -10_000


def test_a_model_and_its_state_travel_without_a_copy(trip):
    model = torch.nn.Sequential(torch.nn.Linear(50, 60), torch.nn.Linear(60, 7))
    sent = trip(model)
    assert sent.sent(model[0].weight.data_ptr())
    assert sent.received(sent.found[0].weight.data_ptr())
    batch = torch.rand(8, 50)
    assert torch.equal(sent.found(batch), model(batch))
    state = trip(model.state_dict())
    assert state.sent(model[0].weight.data_ptr())
    assert torch.equal(state.found["0.weight"], model[0].weight)


def test_a_tied_weight_is_still_tied(trip):
    model = torch.nn.ModuleList([torch.nn.Linear(60, 60), torch.nn.Linear(60, 60)])
    model[1].weight = model[0].weight
    found = trip(model).found
    assert found[0].weight is found[1].weight


@pytest.mark.filterwarnings("ignore:Sparse (CSR|CSC|BSR|BSC) tensor support:UserWarning")
@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr", "to_sparse_csc"])
def test_the_parts_of_a_sparse_tensor_are_not_copied(through, trip, layout):
    dense = torch.rand(80, 90) * (torch.rand(80, 90) > 0.5)
    tensor = getattr(dense, layout)()
    assert torch.equal(through(tensor).to_dense(), dense)
    sent = trip(tensor)
    assert sent.sent(tensor.values().data_ptr())
    assert sent.received(sent.found.values().data_ptr())


class Tagged(torch.Tensor):
    pass


def remembering(tensor):
    tensor.origin = "here"
    return tensor


LEFT_TO_TORCH = {
    "conjugated": (MATRIX + 1j).conj(),
    "with an attribute": remembering(MATRIX.clone()),
    "parameter with an attribute": remembering(torch.nn.Parameter(MATRIX.clone())),
    "subclass": MATRIX.as_subclass(Tagged),
    "without memory": torch.empty(3, 4, device="meta"),
}


@pytest.mark.parametrize("name", LEFT_TO_TORCH)
def test_what_is_more_than_its_elements_is_pickled_by_torch(through, name):
    tensor = LEFT_TO_TORCH[name]
    assert codec_for(tensor).name == "pickle"
    found = through([tensor, tensor])[0]
    assert (type(found), found.dtype, found.shape, found.device) == (
        type(tensor),
        tensor.dtype,
        tensor.shape,
        tensor.device,
    )
    assert getattr(found, "origin", None) == getattr(tensor, "origin", None)
    if tensor.device.type == "cpu":
        assert torch.equal(found, tensor)
    with pytest.raises(SerializationError, match="not a plain tensor"):
        encode(tensor, codec="torch")


def test_a_tensor_alone_is_decoded_where_pickles_are_refused():
    whole = encode(MATRIX).tobytes()
    assert torch.equal(decode(Payload.parse(whole), allowed="raw"), MATRIX)
    with pytest.raises(CodecRefusedError):
        decode(Payload.parse(encode([MATRIX]).tobytes()), allowed="raw")


def test_a_damaged_description_is_a_payload_error(scale, seed):
    import random

    numbers = random.Random(seed)
    head, memory = [bytes(frame) for frame in encode(MATRIX).frame_views()]
    same_shape = 0
    for _ in range(scale("arrays.damaged_heads")):
        damaged = bytearray(head)
        for _ in range(numbers.randint(1, 3)):
            damaged[numbers.randrange(len(damaged))] = numbers.randrange(256)
        length = numbers.choice([len(damaged), numbers.randrange(len(damaged) + 1)])
        try:
            found = decode(Payload.build("torch", [bytes(damaged[:length]), memory]))
        except PayloadError:
            continue
        # What is not noticed here, and is for the checksum to notice, must at least stay within the memory.
        same_shape += 1
        elements = 1 + sum((size - 1) * step for size, step in zip(found.shape, found.stride(), strict=True))
        assert 0 in found.shape or elements * found.dtype.itemsize == len(memory)
        found.untyped_storage().nbytes()
    assert same_shape < scale("arrays.damaged_heads")


@pytest.mark.parametrize(
    ("name", "size", "strides", "nbytes"),
    [
        ("float32", (10,), (1,), 36),
        ("float32", (10,), (1,), 44),
        ("float32", (10,), (1, 1), 40),
        ("float32", (1 << 62,), (1,), 40),
        ("float32", (1 << 62, 1 << 62), (1, 1), 40),
        ("float32", (10,), (1,), 39),
        ("os", (10,), (1,), 40),
    ],
)
def test_sizes_that_the_memory_does_not_have_are_refused(name, size, strides, nbytes):
    from psk.arrays.torch import rebuild_tensor

    with pytest.raises(PayloadError):
        rebuild_tensor(bytearray(nbytes), name, size, strides)


def test_a_codec_of_the_users_own_is_preferred(monkeypatch):
    mine = Codec("mine", lambda tensor: [bytes(tensor)], lambda frames: frames)
    monkeypatch.setattr(codecs, "_by_type", {torch.Tensor: mine})
    assert codec_for(torch.zeros(3)) is mine
