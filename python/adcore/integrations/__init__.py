"""adcore in other libraries' calls: what they take as derivatives, adcore supplies."""
