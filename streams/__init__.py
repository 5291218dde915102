"""How records move: three shapes (Batch, Fold, Sink) over Kafka; all that touches the insides of Faust and aiokafka."""

import os

_OF_FAUST = "BLOCKING_TIMEOUT CONSOLE_PORT DATADIR DEBUG FORCE_BLOCKING_TIMEOUT F_WEB_BIND LOOP STRICT WEB_PORT WEB_TRANSPORT WORKDIR"
# Faust reads these while it is imported: another event loop, a port that is no number and the like would be ours.
# What it reads for each App is shut in faust_batch.
for _name in _OF_FAUST.split():
    for _prefix in ("FAUST_", "F_"):
        os.environ.pop(_prefix + _name, None)
