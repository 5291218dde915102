#!/usr/bin/env bash
# Builds the image of every role with docker, podman or buildah, whichever works here, writes what is in it to
# dist/image/sbom.cdx.json (CycloneDX) and dist/image/licences.txt, and starts it with a read-only root (check.sh).
#
#   BASE=python:3.11-slim@sha256:…  the base; a release names it by its digest
#   IMAGE=netcenter:0.1.0           the name of the image
#   BUILDER=buildah                 which of the three; the first that works without it
#   IMAGE_BUILD_OPTIONS="…"         options for the builder, such as a volume with a certificate
set -euo pipefail
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
image=${IMAGE:-netcenter:$version}
base=${BASE:-python:3.11-slim}
builder=
for name in ${BUILDER:-docker podman buildah}; do
    # A docker command without its daemon builds nothing.
    if "$name" info >/dev/null 2>&1; then
        builder=$name
        break
    fi
done
[[ -n $builder ]] || {
    echo "make image: none of ${BUILDER:-docker, podman, buildah} works on this machine" >&2
    exit 2
}
[[ $base == *@sha256:* ]] || echo "make image: the base $base is not pinned by a digest: for a release set BASE=python:3.11-slim@sha256:…" >&2
build=(build)
[[ $builder == buildah ]] && build=(bud --layers=false)
# The time of the commit, so that the same commit gives the same labels.
# shellcheck disable=SC2086 # the options are several words
"$builder" "${build[@]}" ${IMAGE_BUILD_OPTIONS:-} --file deploy/Dockerfile --tag "$image" \
    --build-arg "BASE=$base" --build-arg "VERSION=$version" \
    --build-arg "REVISION=$(git rev-parse HEAD)" --build-arg "CREATED=$(git log -1 --format=%cI)" .
mkdir -p dist/image
for file in sbom.cdx.json licences.txt; do
    if [[ $builder == buildah ]]; then
        container=$(buildah from "$image")
        cp "$(buildah mount "$container")/opt/netcenter/$file" "dist/image/$file"
        buildah rm "$container" >/dev/null
    else
        "$builder" run --rm --entrypoint cat "$image" "/opt/netcenter/$file" > "dist/image/$file"
    fi
done
deploy/image/check.sh "$builder" "$image"
echo "$image is built; dist/image/ holds its bill of materials and its licences"
