#!/bin/bash
# What is recorded: the tutorial's first steps, typed as a person would. Run by ./record.
prompt() {
    printf '$ '
    local text=$1 i
    for ((i = 0; i < ${#text}; i++)); do
        printf '%s' "${text:i:1}"
        sleep 0.035
    done
    printf '\n'
    sleep 0.2
    eval "$text"
    sleep 0.9
}

lf node start --localtest >ready &
node=$!
trap 'kill $node' EXIT
until grep -q ready ready; do sleep 0.05; done
printf '$ lf node start --localtest &\n'
cat ready
sleep 1
prompt "lf set greeting 'hello world'"
prompt "lf get greeting"
prompt "lf set 'score#1' 1100 >/dev/null; lf set 'score#2' 1150 >/dev/null"
prompt "lf get 'score#'"
prompt "lf owner new mallory"
prompt "lf set --owner mallory greeting 'mine now'"
prompt "lf get greeting"
prompt "lf get --explain greeting | head -n 3"
