"""Contact ids: UUIDs that hold the serial number of the contact, so that none has to be stored."""

import uuid

SERIAL_BITS = 48


class ContactIds:
    """Ids of one account."""

    def __init__(self) -> None:
        self._account = uuid.uuid4().int >> SERIAL_BITS

    def id(self, serial: int) -> str:
        return str(uuid.UUID(int=self._account << SERIAL_BITS | serial))

    def serial(self, contact_id: str) -> int | None:
        """None for what is no id of this account."""
        try:
            number = uuid.UUID(contact_id).int
        except ValueError:
            return None
        return number % (1 << SERIAL_BITS) if number >> SERIAL_BITS == self._account else None
