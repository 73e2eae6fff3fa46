"""The whole loop on one machine, shown stage by stage."""
