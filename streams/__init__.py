"""How records move: three shapes (Batch, Fold, Sink) over Kafka; and all code that uses the internals of Faust and
aiokafka.
"""

import os

_OF_FAUST = "BLOCKING_TIMEOUT CONSOLE_PORT DATADIR DEBUG FORCE_BLOCKING_TIMEOUT F_WEB_BIND LOOP STRICT WEB_PORT WEB_TRANSPORT WORKDIR"
# Faust reads these variables when it is imported: they would give the worker another event loop, or fail on a bad port.
# faust_batch ignores the variables that Faust reads for each App.
for _name in _OF_FAUST.split():
    for _prefix in ("FAUST_", "F_"):
        os.environ.pop(_prefix + _name, None)
