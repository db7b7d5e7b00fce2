#!/bin/sh
# Link the sources into the layout in which they are imported, for tools that do not run Python:
#
#     tools/import-tree.sh FOLDER
#
# FOLDER/implicore is src/implicore with hw, model, sim and synth in it.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
rm -rf "$1"
mkdir -p "$1"
cp -rs "$root/src/implicore" "$1"
for part in hw model sim synth; do
    ln -s "$root/$part" "$1/implicore/$part"
done
