"""The finalists: the best trials trained again over seeds, ranked, and the winner tested."""
