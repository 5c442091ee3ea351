"""The gRPC API: the only place that knows the generated messages."""
