"""Scores of speech by PESQ (ITU-T P.862, narrow band): each line of the input names a WAV file of 8 kHz with what was said and
one with what was heard, each line of the output is the MOS-LQO of that pair."""

import sys
import wave

import numpy
from pesq import NoUtterancesError, pesq

WORST = 1.0


def samples(path):
    with wave.open(path) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (8000, 1, 2):
            raise SystemExit(f'{path} is not a mono file of 8 kHz and 16 bits')
        return numpy.frombuffer(file.readframes(file.getnframes()), dtype=numpy.int16).astype(numpy.float64)


for line in sys.stdin:
    said, heard = line.split()
    try:
        score = pesq(8000, samples(said), samples(heard), 'nb')
    except NoUtterancesError:  # silence
        score = WORST
    print(f'{score:.3f}', flush=True)
