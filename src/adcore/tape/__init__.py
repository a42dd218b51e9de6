"""Programs: columns of instructions with their pools."""
