"""From profiles on local disk to batches that a provider can take, with a reason for everyone who is not in one."""
