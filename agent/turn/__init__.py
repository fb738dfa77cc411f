"""What one turn is made of: the question to the model, its window, the structured answer it owes."""
