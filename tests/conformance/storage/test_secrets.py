"""What the use cases can count on of secrets, in memory and from the vault sandbox through Microsoft's client."""
