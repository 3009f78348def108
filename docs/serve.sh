#!/bin/sh
# Serves an export with TensorFlow Serving's Docker image, and asks it for one answer.
#
#     docs/serve.sh saved_models/digits [photo.png | "a text"]
#
# Needs docker and curl. PORT is 8501 unless it is set. The container ends with the script.
set -eu

if [ $# -lt 1 ] || [ ! -d "$1" ]; then
    echo "usage: $0 FOLDER [FILE|TEXT], FOLDER as saved_models/digits with versions 1, 2, ... in it" >&2
    exit 2
fi
folder=$(cd "$1" && pwd)
name=$(basename "$folder")
port=${PORT:-8501}
address="http://localhost:$port/v1/models/$name"

# Read only: a model that is served has no business in its own folder.
container=$(docker run --rm -d -p "127.0.0.1:$port:8501" -v "$folder:/models/$name:ro" -e "MODEL_NAME=$name" \
    tensorflow/serving)
trap 'docker stop "$container" >/dev/null' EXIT INT TERM

tries=0
until curl -sf "$address" | grep -q AVAILABLE; do
    tries=$((tries + 1))
    if [ "$tries" -ge 60 ]; then
        docker logs "$container" >&2
        exit 1
    fi
    sleep 1
done

if [ $# -lt 2 ]; then
    curl -sf "$address/metadata"
elif [ -f "$2" ]; then
    printf '{"signature_name": "encoded", "instances": [{"image_bytes": {"b64": "%s"}}]}' \
        "$(base64 <"$2" | tr -d '\n')" | curl -s -d @- "$address:predict"
else
    # A model of texts has the input "text", a language model "prompt"; the quotes of JSON are escaped.
    text=$(printf '%s' "$2" | sed 's/\\/\\\\/g; s/"/\\"/g')
    input=text
    curl -sf "$address/metadata" | tr -d ' \n' | grep -q '"prompt":{' && input=prompt
    printf '{"instances": [{"%s": "%s"}]}' "$input" "$text" | curl -s -d @- "$address:predict"
fi
