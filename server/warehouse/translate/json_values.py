"""JSON: values read out of JSON and out of texts that hold it, and JSON made of values."""

from server.warehouse.translate.rules import Rules

JSON = Rules()
