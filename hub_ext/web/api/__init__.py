"""The REST API: one module a resource, and what describes all of them (`openapi.py`)."""
