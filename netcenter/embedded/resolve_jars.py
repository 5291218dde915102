"""Run by java.py in a process of its own: resolves Maven artefacts, fetching what is missing, to paths of jars."""

import json
import sys


def main(kafka: str, binding: str) -> None:
    """Print a JSON list of the paths of all jars of `kafka`, and of `binding` without what it depends on."""
    import jgo

    # Updated, for jgo takes a folder that an interrupted run has half filled for a whole one.
    jars = [str(jar) for jar in jgo.build(kafka, update=True).all_jars]
    # Built apart: together, the versions which the binding's parent manages would replace Kafka's own.
    artefact = binding.split(":")[1]
    jars += [str(jar) for jar in jgo.build(binding, update=True).all_jars if jar.name.startswith(artefact)]
    print(json.dumps(jars))


if __name__ == "__main__":
    main(*sys.argv[1:])
