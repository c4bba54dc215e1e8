"""The two sockets of a Concentratord, with libzmq: it publishes what it is told on its input, and prints what it is asked.

Usage: concentratord.py EVENT_URL COMMAND_URL

Input, a line each:  publish HEX...   a message of these frames (- is an empty one)
                     answer HEX...    to the last question
Output, a line each: ready            both sockets are there
                     asked HEX...     a question, which waits for its answer
"""

import sys
import threading

import zmq


def frames(words):
    return [b"" if word == "-" else bytes.fromhex(word) for word in words]


def say(word, parts=()):
    print(word, *(part.hex() or "-" for part in parts), flush=True)


def main():
    context = zmq.Context()
    events = context.socket(zmq.PUB)
    events.bind(sys.argv[1])
    commands = context.socket(zmq.REP)
    commands.bind(sys.argv[2])
    say("ready")
    answered = threading.Semaphore(0)

    def serve():
        while True:
            say("asked", commands.recv_multipart())
            answered.acquire()
            commands.send_multipart(answer)

    answer = []
    threading.Thread(target=serve, daemon=True).start()
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "publish":
            events.send_multipart(frames(rest))
        else:
            answer[:] = frames(rest)
            answered.release()


main()
