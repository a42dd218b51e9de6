"""Plans: fusion, memory, lowering."""
