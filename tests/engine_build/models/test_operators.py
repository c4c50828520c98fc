"""The operator that a library lacks, out of its own messages."""

from __future__ import annotations

import pytest
from tests.engine_build.odd_models import node, nodes_model

from stripwatch_engine.models.operators import failed_node, lacking_operator, plain_reason

OPENVINO = """Check 'false' failed at src/frontends/unconverted_ops_report.cpp:151:
FrontEnd API failed with OpConversionFailure:
Model wasn't fully converted. Failed operations detailed log:
Summary:
-- No conversion rule found for operations: Softplus-13
-- Conversion is failed for: Conv-13
"""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (OPENVINO, "X has no operator Softplus (node softplus); replace it in the model, "),
        ("Fatal error: mmdeploy:Foo(-1) is not a registered function/op", "operator mmdeploy.Foo;"),
        ("Could not find an implementation for Softplus(1) node with name 'softplus'", "(node sof"),
        ("[ONNXRuntimeError] : 1 : FAIL : Load model failed", ""),
    ],
)
def test_a_lacking_operator_comes_first(text: str, sentence: str) -> None:
    """With its node; a message about anything else says nothing of an operator."""
    found = lacking_operator("X", text, nodes_model([node("Softplus")]))
    assert sentence in found
    assert bool(found) == bool(sentence)


def test_a_reason_has_no_places_in_source_code() -> None:
    """Nor the checks that surround it."""
    text = "Exception from src/core.cpp:12:\nCheck 'a' failed at src/x.hpp:3:\nRanks differ\n"
    assert plain_reason(text) == "Ranks differ"
    assert failed_node("ONNX node '<Node(Conv): model0/net/c1>': rank") == "Conv (c1)"
    assert failed_node("nothing") == ""
