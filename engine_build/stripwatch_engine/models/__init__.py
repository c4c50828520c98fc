"""Reading models: ONNX files, their cards, and the composition of several into one engine."""
