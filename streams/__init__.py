"""How events move: three shapes (Batch, Fold, Sink) over Kafka; all that touches Faust's insides."""
