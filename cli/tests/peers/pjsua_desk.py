"""A phone of PJSIP's for the matrix of calls: told what to do line by line, it says line by line what happens.

    pjsua_desk.py USER PORT MEDIA-PORT FOLDER

The user that a call is for says what becomes of it: `ann` is answered at once, `ann-ring` rings until it is told
otherwise, `ann-early` likewise with media, `ann-trying` gets nothing but 100, and `ann-486` is refused so.

Commands, N being the number of a call: call URI | answer N CODE | hangup N CODE | hold N | resume N | mute N | unmute N |
dtmf N DIGITS | info N DIGITS | transfer N URI | attended N M | ear N MILLISECONDS | quit.
Says: ready | placed N | incoming N USER | id N CALL-ID | call N STATE CODE | media N STATE | transfer N CODE | digit N DIGIT |
ear N SAMPLES LEVEL HERTZ:SHARE... | error COMMAND WORDS. FOLDER/voice.wav is said, again and again.
"""
import array
import math
import os
import select
import sys
import time
import wave
import pjsua2 as pj

USER, PORT, MEDIA, FOLDER = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
TONES = (440, 660, 880, 1100)
MEDIA_STATES = {
    pj.PJSUA_CALL_MEDIA_NONE: 'none',
    pj.PJSUA_CALL_MEDIA_ACTIVE: 'active',
    pj.PJSUA_CALL_MEDIA_LOCAL_HOLD: 'held',
    pj.PJSUA_CALL_MEDIA_REMOTE_HOLD: 'held-by-peer',
    pj.PJSUA_CALL_MEDIA_ERROR: 'error',
}
calls, ears, closing = {}, [], []


def say(*words):
    print(*words, flush=True)


def shares(samples, rate):
    """How much of the sound is each tone (1: nothing else), and how loud all of it is."""
    energy = sum(sample * sample for sample in samples)
    found = []
    for hertz in TONES:
        step, before, last = 2 * math.cos(2 * math.pi * hertz / rate), 0.0, 0.0
        for sample in samples:
            before, last = last, sample + step * last - before
        power = before * before + last * last - step * before * last
        found.append(2 * power / (energy * len(samples)) if samples and energy else 0.0)
    return math.sqrt(energy / max(1, len(samples))), found


class Call(pj.Call):
    def __init__(self, account, number, call_id=pj.PJSUA_INVALID_ID):
        super().__init__(account, call_id)
        self.number, self.is_muted = number, False

    def onCallState(self, _):
        info = self.getInfo()
        say('id', self.number, info.callIdString)
        say('call', self.number, info.stateText, int(info.lastStatusCode))

    def audio(self):
        info = self.getInfo()  # the list of its media goes with it
        for index, media in enumerate(info.media):
            if media.status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD):
                return self.getAudioMedia(index)
        return None

    def onCallMediaState(self, _):
        info = self.getInfo()
        for media in info.media:
            say('media', self.number, MEDIA_STATES.get(media.status, media.status))
        audio = self.audio()
        if audio is not None and not self.is_muted:
            voice.startTransmit(audio)

    def onCallTransferStatus(self, status):
        say('transfer', self.number, int(status.statusCode))

    def onDtmfDigit(self, heard):
        say('digit', self.number, heard.digit)


class Account(pj.Account):
    def onIncomingCall(self, incoming):
        number = len(calls)
        call = calls[number] = Call(self, number, incoming.callId)
        user = incoming.rdata.wholeMsg.split(' ', 2)[1].split(':', 1)[1].split('@')[0]
        say('incoming', number, user)
        wish = user.partition('-')[2]
        status = {'': 200, 'ring': 180, 'early': 183, 'trying': 0}.get(wish)
        answer = pj.CallOpParam()
        answer.statusCode = int(wish) if status is None else status
        if answer.statusCode:
            call.answer(answer)


settings = pj.EpConfig()
settings.logConfig.level = 5
settings.logConfig.consoleLevel = 0
settings.logConfig.filename = f'{FOLDER}/pjsua.log'
settings.uaConfig.threadCnt = 0
settings.uaConfig.mainThreadOnly = True
settings.uaConfig.maxCalls = 16
settings.medConfig.noVad = True
settings.medConfig.clockRate = 8000
settings.medConfig.sndClockRate = 8000
settings.medConfig.ecTailLen = 0
endpoint = pj.Endpoint()
endpoint.libCreate()
endpoint.libInit(settings)
endpoint.audDevManager().setNullDev()
for codec in endpoint.codecEnum2():
    endpoint.codecSetPriority(codec.codecId, 200 if codec.codecId.startswith('PCMU') else 0)
here = pj.TransportConfig()
here.port, here.boundAddress = PORT, '127.0.0.1'
endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, here)
endpoint.libStart()
mine = pj.AccountConfig()
mine.idUri = f'sip:{USER}@127.0.0.1:{PORT}'
media = mine.mediaConfig.transportConfig
media.boundAddress = media.publicAddress = '127.0.0.1'
media.port, media.portRange = MEDIA, 200
account = Account()
account.create(mine)
voice = pj.AudioMediaPlayer()
voice.createPlayer(f'{FOLDER}/voice.wav')
say('ready')


def listen(number, milliseconds):
    audio = calls[number].audio()
    if audio is None:
        return say('ear', number, 0, 0)
    path = f'{FOLDER}/ear.{number}.{time.monotonic_ns()}.wav'
    recorder = pj.AudioMediaRecorder()
    recorder.createRecorder(path)
    audio.startTransmit(recorder)
    ears.append((time.monotonic() + milliseconds / 1000, number, path, recorder))


def hear():
    """Recordings whose time has come. Each is written a moment after nobody holds its recorder any more."""
    while ears and ears[0][0] <= time.monotonic():
        closing.append((time.monotonic() + 1, *ears.pop(0)[1:3]))
    for ear in closing[:]:
        limit, number, path = ear
        try:
            with wave.open(path) as file:
                samples, rate = array.array('h', file.readframes(file.getnframes())), file.getframerate()
        except (EOFError, wave.Error):
            samples, rate = array.array('h'), 8000
        if not samples and time.monotonic() < limit:
            continue
        closing.remove(ear)
        os.unlink(path)
        level, found = shares(samples, rate)
        say('ear', number, len(samples), round(level), *(f'{hertz}:{share:.2f}' for hertz, share in zip(TONES, found)))


def carry_out(command, words):
    if command == 'call':
        number = len(calls)
        calls[number] = Call(account, number)
        say('placed', number)
        return calls[number].makeCall(words[0], pj.CallOpParam(True))
    call, wish = calls[int(words[0])], pj.CallOpParam(True)
    if command in ('answer', 'hangup'):
        wish = pj.CallOpParam()
        wish.statusCode = int(words[1]) if len(words) > 1 else 0
        getattr(call, command)(wish)
    elif command == 'hold':
        call.setHold(wish)
    elif command == 'resume':
        wish.opt.flag = pj.PJSUA_CALL_UNHOLD
        call.reinvite(wish)
    elif command in ('mute', 'unmute'):
        call.is_muted = command == 'mute'
        audio = call.audio()
        if audio is not None:
            (voice.stopTransmit if call.is_muted else voice.startTransmit)(audio)
    elif command == 'dtmf':
        call.dialDtmf(words[1])
    elif command == 'info':
        keys = pj.CallSendDtmfParam()
        keys.method, keys.digits = pj.PJSUA_DTMF_METHOD_SIP_INFO, words[1]
        call.sendDtmf(keys)
    elif command == 'transfer':
        call.xfer(words[1], wish)
    elif command == 'attended':
        call.xferReplaces(calls[int(words[1])], wish)
    elif command == 'ear':
        listen(int(words[0]), int(words[1]))


running, pending = True, b''
while running:
    endpoint.libHandleEvents(5)
    hear()
    while running and select.select([0], [], [], 0)[0]:
        some = os.read(0, 4096)
        running = bool(some)
        pending += some
        *lines, pending = pending.split(b'\n')
        for line in lines:
            command, *words = line.decode().split()
            if command == 'quit':
                running = False
                break
            try:
                carry_out(command, words)
            except pj.Error as error:
                say('error', command, error.info().replace('\n', ' '))
os._exit(0)
