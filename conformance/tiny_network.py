"""Networks of a few hundred bytes in ONNX for crates/embed/tests/data/onnx, and what onnxruntime makes of a few pictures.

    pip install onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
    python conformance/tiny_network.py crates/embed/tests/data/onnx

Weights are counted, not drawn, so that every run writes the same bytes. The pictures have the networks' own sides: resizing is
compared elsewhere (conformance/resize_pillow.py).
"""

import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FLOAT, N_DIMS = TensorProto.FLOAT, 6


def picture(width, height):
    """Bytes of a picture that any language can make: red, green, blue of each pixel, row by row."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((37 * x + 101 * y + 59 * c + 7 * x * y) % 256).astype(np.uint8)


def weights(*shape):
    """Numbers from -1 to 1 that do not repeat within a row."""
    count = np.arange(np.prod(shape), dtype=np.int64)
    return (((count * 37 + 11) % 64 - 31.5) / 32).astype(np.float32).reshape(shape)


def write(folder, name, nodes, inputs, outputs, initializers, external=None):
    values = {k: numpy_helper.from_array(v, k) for k, v in initializers.items()}
    ports = [[helper.make_tensor_value_info(n, t, s) for n, t, s in side] for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, name, *ports, list(values.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="labelloop")
    onnx.checker.check_model(model)
    if external:
        # What is there would be appended to.
        (folder / external).unlink(missing_ok=True)
        onnx.save(model, folder / f"{name}.onnx", save_as_external_data=True, location=external, size_threshold=0)
        (folder / external).chmod(0o644)
    else:
        onnx.save(model, folder / f"{name}.onnx")


def node(op, ins, outs, **attributes):
    return helper.make_node(op, ins.split(), outs.split(), **attributes)


def conv(ins, outs, stride=2):
    return node("Conv", ins, outs, kernel_shape=[3, 3], strides=[stride, stride], pads=[1, 1, 1, 1])


def convolution(channels=3):
    return {"w": weights(N_DIMS, channels, 3, 3), "b": weights(N_DIMS)}


def pooled(of, tail="Relu"):
    """A convolution, its positive part (or root), the mean of each channel."""
    return [conv(f"{of} w b", "c"), node("GlobalAveragePool", "c", "g"), node("Flatten", "g", "f"), node(tail, "f", "vector")]


def networks(folder):
    vector = [("vector", FLOAT, ["N", N_DIMS])]
    write(folder, "nchw", pooled("images"), [("images", FLOAT, ["N", 3, 8, 8])], vector, convolution())
    write(folder, "open", pooled("images"), [("images", FLOAT, ["N", 3, "H", "W"])], [("vector", FLOAT, ["N", "D"])], convolution())
    write(folder, "fixed", pooled("images"), [("images", FLOAT, [1, 3, 8, 8])], [("vector", FLOAT, [1, N_DIMS])], convolution())
    write(folder, "eight", pooled("images"), [("images", FLOAT, [8, 3, 8, 8])], [("vector", FLOAT, [8, N_DIMS])], convolution())
    turned = [node("Transpose", "images", "t", perm=[0, 3, 1, 2]), *pooled("t")]
    write(folder, "nhwc", turned, [("images", FLOAT, ["N", 8, 8, 3])], vector, convolution())
    write(folder, "wide", pooled("images"), [("images", FLOAT, ["N", 3, 6, 10])], vector, convolution())
    write(folder, "root", pooled("images", "Sqrt"), [("images", FLOAT, ["N", 3, 8, 8])], vector, convolution())
    write(folder, "grey", pooled("images"), [("images", FLOAT, ["N", 1, 8, 8])], vector, convolution(1))
    write(folder, "external", pooled("images"), [("images", FLOAT, ["N", 3, 8, 8])], vector, convolution(), "external.bin")
    half = [node("Cast", "images", "i", to=FLOAT), *pooled("i")]
    write(folder, "half", half, [("images", TensorProto.FLOAT16, ["N", 3, 8, 8])], vector, convolution())
    flat = [node("MatMul", "images w", "vector")]
    write(folder, "flat", flat, [("images", FLOAT, ["N", 192])], vector, {"w": weights(192, N_DIMS)})
    both = [conv("images w b", "c"), node("GlobalAveragePool", "c", "g"), node("Flatten", "g", "f"), node("Add", "f shift", "vector")]
    write(folder, "two_inputs", both, [("images", FLOAT, ["N", 3, 8, 8]), ("shift", FLOAT, ["N", N_DIMS])], vector, convolution())
    feature_map = [conv("images w b", "map")]
    write(folder, "map", feature_map, [("images", FLOAT, ["N", 3, 8, 8])], [("map", FLOAT, ["N", N_DIMS, 4, 4])], convolution())
    feature_map = [node("Transpose", "images", "t", perm=[0, 3, 1, 2]), conv("t w b", "c"), node("Transpose", "c", "map", perm=[0, 2, 3, 1])]
    write(folder, "map_nhwc", feature_map, [("images", FLOAT, ["N", 8, 8, 3])], [("map", FLOAT, ["N", 4, 4, N_DIMS])], convolution())
    tokens(folder)


def tokens(folder):
    """Four patches and a class token, in the manner of a vision transformer, with two outputs."""
    nodes = [
        node("Conv", "pixel_values w b", "p", kernel_shape=[4, 4], strides=[4, 4]),
        node("Reshape", "p shape", "r"),
        node("Transpose", "r", "t", perm=[0, 2, 1]),
        node("Concat", "class t", "ct", axis=1),
        node("Add", "ct place", "a"),
        node("MatMul", "a mix", "last_hidden_state"),
        node("ReduceMax", "last_hidden_state", "pooler_output", axes=[1], keepdims=0),
    ]
    values = {
        "w": weights(N_DIMS, 3, 4, 4),
        "b": weights(N_DIMS),
        "shape": np.array([1, N_DIMS, 4], dtype=np.int64),
        "class": weights(1, 1, N_DIMS),
        "place": weights(1, 5, N_DIMS),
        "mix": weights(N_DIMS, N_DIMS),
    }
    outputs = [("last_hidden_state", FLOAT, [1, 5, N_DIMS]), ("pooler_output", FLOAT, [1, N_DIMS])]
    write(folder, "tokens", nodes, [("pixel_values", FLOAT, [1, 3, 8, 8])], outputs, values)


def run(folder, name, pixels, output, nhwc=False, bgr=False):
    numbers = (pixels.astype(np.float32) / 255 - 0.5) / 0.25
    numbers = numbers[..., ::-1] if bgr else numbers
    numbers = numbers if nhwc else numbers.transpose(2, 0, 1)
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
    return session.run([output], {session.get_inputs()[0].name: np.ascontiguousarray(numbers[None])})[0][0].astype(np.float64)


def cases(folder):
    square, wide = picture(8, 8), picture(10, 6)
    hidden = run(folder, "tokens", square, "last_hidden_state")
    made = [
        ("nchw", "", run(folder, "nchw", square, "vector")),
        ("nchw", 'channels = "bgr"', run(folder, "nchw", square, "vector", bgr=True)),
        ("open", "", run(folder, "nchw", square, "vector")),
        ("fixed", "", run(folder, "nchw", square, "vector")),
        ("external", "", run(folder, "nchw", square, "vector")),
        ("nhwc", 'layout = "nhwc"', run(folder, "nhwc", square, "vector", nhwc=True)),
        ("nhwc", 'layout = "nhwc"\nchannels = "bgr"', run(folder, "nhwc", square, "vector", nhwc=True, bgr=True)),
        ("wide", "size = [10, 6]", run(folder, "wide", wide, "vector")),
        ("tokens", 'output = "pooler_output"', run(folder, "tokens", square, "pooler_output")),
        ("tokens", 'pooling = "cls"', hidden[0]),
        ("tokens", 'pooling = "mean-tokens"', hidden.mean(0)),
        ("tokens", 'pooling = "mean-patches"', hidden[1:].mean(0)),
        ("tokens", 'pooling = "mean-patches"\nprefix_tokens = 3', hidden[3:].mean(0)),
        ("tokens", 'pooling = "flatten"', hidden.ravel()),
        ("map", 'pooling = "global-average"', run(folder, "map", square, "map").mean((1, 2))),
        ("map_nhwc", 'pooling = "global-average"\nlayout = "nhwc"', run(folder, "map_nhwc", square, "map", nhwc=True).mean((0, 1))),
    ]
    return [{"network": n, "keys": k, "vector": [round(float(v), 7) for v in values]} for n, k, values in made]


def main():
    folder = Path(sys.argv[1])
    networks(folder)
    tools = {name: importlib.metadata.version(name) for name in ("onnx", "onnxruntime", "numpy")}
    expected = {"tools": tools, "tolerance": 1e-5, "cases": cases(folder)}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


main()
