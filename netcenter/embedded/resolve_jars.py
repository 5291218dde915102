"""A program that java.py runs: resolves Maven artefacts to the paths of jars, and fetches the missing ones."""

import json
import sys


def main(kafka: str, binding: str) -> None:
    """Print a JSON list of the paths of all jars of `kafka`, and of `binding` without its dependencies."""
    import jgo

    # `update` is needed, because otherwise jgo would accept the incomplete folder of an interrupted run.
    jars = [str(jar) for jar in jgo.build(kafka, update=True).all_jars]
    # Two separate calls: in one call, the versions of the binding's parent would replace Kafka's own.
    artefact = binding.split(":")[1]
    jars += [str(jar) for jar in jgo.build(binding, update=True).all_jars if jar.name.startswith(artefact)]
    print(json.dumps(jars))


if __name__ == "__main__":
    main(*sys.argv[1:])
