"""Sample segments: people from many places, a few rows with every fault of real files, and the truth about each."""
