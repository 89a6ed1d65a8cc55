"""How the app itself is: what the tick measures for alerts, and whether each part that it needs can be used."""
