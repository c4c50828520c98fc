"""The camera's side: frames numbered, paced and sent, for replay, the demo and tests."""
