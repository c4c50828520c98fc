"""The subscriber's side of the event endpoint."""
