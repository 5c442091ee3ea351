"""The console: pages for operators and tenants, made of what the service answers over gRPC and of nothing else."""
