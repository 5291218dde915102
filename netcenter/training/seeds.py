"""Seeds: made posts of one emoji, or of a few blunt words, that are rare in corpora and whose label needs no reader.

The student learns from them whichever source is left out, the teacher does not, and nothing is measured on them.
"""

from __future__ import annotations

from agents.classify.port import LABELS, LANGUAGES
from netcenter.training.training_rows import SEEDS, TrainingRows, joined, made

EMOJI = {"complaint": "😡🤬😠😤👿💩🖕👎🤮🤢😾😒", "praise": "😍🥰❤💙💚💛💜🧡💖💕♥💗👏🙌👍👌💯⭐🌟🤩🥳"}
"""By label, emoji that mean it alone, too. Laughter, tears and sighs go with anything; as seeds they made other posts worse."""
WORDS = {
    "es": {
        "complaint": (
            *("estafadores", "estafa", "ladrones", "son unos ladrones", "rateros", "sinvergüenzas", "mentirosos"),
            *("qué vergüenza", "dan asco", "una basura", "inútiles", "incompetentes", "no funciona", "boicot"),
            *("boicot a", "nunca más", "pésimo servicio", "todavía nada", "sigo esperando"),
        ),
        "praise": ("gracias", "muchas gracias", "los mejores", "excelente", "felicitaciones", "son lo máximo"),
    },
    "pt": {
        "complaint": (
            *("golpistas", "golpe", "ladrões", "bando de ladrões", "bandidos", "sem vergonha", "mentirosos"),
            *("que vergonha", "um lixo", "inúteis", "incompetentes", "não funciona", "boicote", "boicote a"),
            *("nunca mais", "péssimo atendimento", "até agora nada", "continuo esperando", "estelionato"),
        ),
        "praise": ("obrigado", "muito obrigada", "vocês são demais", "excelente", "parabéns", "os melhores"),
    },
    "en": {
        "complaint": (
            *("scammers", "scam", "thieves", "bunch of thieves", "crooks", "fraud", "fraudsters", "liars"),
            *("shame on you", "disgusting", "garbage", "useless", "incompetent", "not working", "boycott"),
            *("never again", "terrible service", "rip off", "still nothing", "still waiting"),
        ),
        "praise": ("thank you", "thanks a lot", "you are the best", "excellent", "well done", "love you"),
    },
}
"""By language and label, what customers say to a brand in few words."""
_WEIGHT = 0.5
"""The weight of a seed; a labelled post weighs 1."""


def seeded(rows: TrainingRows) -> TrainingRows:
    """Return the rows with the seeds after them: each emoji in each language, once and thrice, and the words to a brand."""
    found = [
        (lang, label, text) for lang in LANGUAGES for label, all in EMOJI.items() for e in all for text in (e, e * 3)
    ]
    found += [
        (lang, label, text)
        for lang, labels in WORDS.items()
        for label, said in labels.items()
        for words in said
        for text in (f"@user {words}", words)
    ]
    seeds = [
        {
            "text": text,
            "lang": LANGUAGES.index(lang),
            "label": LABELS.index(label),
            "source": SEEDS,
            "brand": "",
            "weight": _WEIGHT,
        }
        for lang, label, text in found
    ]
    return joined(rows, made(seeds))
