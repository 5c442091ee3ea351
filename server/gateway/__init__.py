"""HTTP and JSON for those who do not speak gRPC: the methods at the addresses that the protos give them."""
