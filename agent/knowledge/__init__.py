"""Files -> what the model is told: definitions, skills, instructions, and where each comes from."""
