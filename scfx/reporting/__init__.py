"""The analysis for people: text, explanations, pictures."""
