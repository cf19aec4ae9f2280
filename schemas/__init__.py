"""What crosses a boundary: records on topics, rows' payloads, what the outside may say to us.

Inbound contracts are pydantic models (rich errors, JSON Schema); what only we read or write
at rate is msgspec. Nothing here decides anything.
"""
