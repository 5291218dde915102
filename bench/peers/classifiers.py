"""Two common classifiers, timed on the posts and labels of standard input. Arguments: ROUNDS BATCH. Microseconds a post."""

import json
import statistics
import sys
import tempfile
import time

import fasttext
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

rounds, batch = map(int, sys.argv[1:])
rows = json.load(sys.stdin)
texts = [" ".join(row["text"].split()) for row in rows]
labels = [row["label"] for row in rows]


def timed(work):  # noqa: ANN001, ANN201 - a peer's own program
    """Return the seconds of the median round."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        for at in range(0, len(texts), batch):
            work(texts[at : at + batch])
        found.append((time.perf_counter() - start) / len(texts) * 1e6)
    return round(statistics.median(found), 2)


tfidf = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=200))
tfidf.fit(texts, labels)
with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
    file.writelines(f"__label__{label} {text}\n" for label, text in zip(labels, texts, strict=True))
    file.flush()
    fast = fasttext.train_supervised(file.name, wordNgrams=2, thread=1, epoch=5, bucket=200_000, verbose=0)
print(
    json.dumps(
        {"scikit-learn TF-IDF and logistic regression": timed(tfidf.predict_proba), "fastText": timed(fast.predict)}
    )
)
