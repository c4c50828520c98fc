"""What comes in: ONNX files, their cards, and how several make one engine."""
