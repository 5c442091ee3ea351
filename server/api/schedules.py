"""ScheduleService."""

from convergence.v1.schedule_service_pb2_grpc import ScheduleServiceServicer


class ScheduleServicer(ScheduleServiceServicer):
    """Part of the contract; every method answers UNIMPLEMENTED."""
