"""Phones for the matrix of calls, each a process of its own, and the wire between them and the switch."""

import ctypes
import array
import fcntl
import json
import math
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import wave

HERE = os.path.dirname(os.path.abspath(__file__))
TONES = (440, 660, 880, 1100)
PATIENCE_S = 8
EAR_MS = 240
SAME_TONE = 0.7


class Failed(Exception):
    """A cell did not go as it has to."""


def tone(path, hertz, seconds):
    samples = array.array('h', (int(8000 * math.sin(2 * math.pi * hertz * at / 8000)) for at in range(8000)))
    with wave.open(path, 'wb') as file:
        file.setparams((1, 2, 8000, 0, 'NONE', ''))
        file.writeframes(samples.tobytes() * seconds)


def shares(samples, rate):
    energy = sum(sample * sample for sample in samples)
    found = {}
    for hertz in TONES:
        step, before, last = 2 * math.cos(2 * math.pi * hertz / rate), 0.0, 0.0
        for sample in samples:
            before, last = last, sample + step * last - before
        power = before * before + last * last - step * before * last
        found[hertz] = 2 * power / (energy * len(samples)) if energy else 0.0
    return found


def which(found, level):
    """The tone that is heard: its frequency, None for silence, the shares when it is something else."""
    if level < 60:
        return None
    best = max(found, key=found.get)
    return best if found[best] > SAME_TONE else {hertz: round(share, 2) for hertz, share in found.items()}


class Call:
    """One end of a call, as its phone tells it."""

    def __init__(self, phone, key, user=''):
        self.phone, self.key, self.user = phone, key, user
        self.state, self.code, self.is_held = 'new', 0, False
        self.digits, self.transfers, self.call_id = '', [], ''

    def __repr__(self):
        return f'{self.phone.name}/{self.key}:{self.state}:{self.code}'

    def until(self, *states, within=PATIENCE_S):
        self.phone.until(lambda: self.state in states or self.state == 'over', within,
                         f'{self!r} does not become {states}')
        if self.state not in states:
            raise Failed(f'{self!r} is over instead of {states}')
        return self

    def __getattr__(self, name):
        """hold, resume, hangup, dtmf and their like are what its phone does with it."""
        return lambda *words: getattr(self.phone, name)(self, *words)


class Phone:
    def __init__(self, name, port, media, hertz, folder):
        self.name, self.port, self.media, self.hertz = name, port, media, hertz
        self.folder, self.is_stopped = os.path.join(folder, name), False
        os.makedirs(self.folder, exist_ok=True)
        self.changed, self.calls, self.arrived, self.errors = threading.Condition(), {}, [], []
        self.start()

    def until(self, good, within, what):
        with self.changed:
            if not self.changed.wait_for(good, within):
                raise Failed(what() if callable(what) else what)

    def arrives(self, user, within=PATIENCE_S):
        """The next call that comes in; it must be for this user."""
        self.until(lambda: self.arrived, within, f'no call for {user} arrives at {self.name}')
        call = self.arrived.pop(0)
        if call.user and call.user != user:
            raise Failed(f'{call!r} is for {call.user}, not {user}')
        return call

    def freeze(self):
        self.is_stopped = True
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        if self.is_stopped:
            self.is_stopped = False
            self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.is_stopped = False

    def again(self):
        """After its end: with nothing of before."""
        if self.process.poll() is not None:
            self.calls, self.arrived = {}, []
            self.start()

    def on_the_air(self, call):
        """What comes to its media port in this call."""
        media = Phone.wire.media_of(self.port, self.call_id(call))
        if not media:
            return None
        heard = Phone.air.listen(media)
        time.sleep(EAR_MS / 1000)
        samples = Phone.air.enough(heard)
        if len(samples) < 400:
            return None
        level = math.sqrt(sum(sample * sample for sample in samples) / len(samples))
        return which(shares(samples, 8000), level)

    def clear(self):
        with self.changed:
            self.arrived.clear()
            self.errors.clear()

    def live(self):
        return [call for call in self.calls.values() if call.state != 'over']


class Pjsua(Phone):
    kind = 'pjsua'

    def start(self):
        voice = os.path.join(self.folder, 'voice.wav')
        if not os.path.exists(voice):
            tone(voice, self.hertz, 10)
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, 'pjsua_desk.py'), self.name, str(self.port), str(self.media), self.folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(os.path.join(self.folder, 'err.txt'), 'a'),
            bufsize=0)
        self.said, self.heard, self.is_ready = [], {}, False
        threading.Thread(target=self.read, args=(self.process.stdout,), daemon=True).start()

    def ready(self):
        self.until(lambda: self.is_ready, PATIENCE_S, f'{self.name} does not start')

    def read(self, output):
        for line in output:
            words = line.decode(errors='replace').split()
            with self.changed:
                if words:
                    self.take(words)
                self.changed.notify_all()

    def take(self, words):
        self.said.append(' '.join(words))
        if words[0] == 'ready':
            self.is_ready = True
            return
        if words[0] == 'error':
            self.errors.append(' '.join(words))
            return
        if words[0] not in ('placed', 'incoming', 'id', 'call', 'media', 'transfer', 'digit', 'ear'):
            return
        number = int(words[1])
        call = self.calls.get(number)
        if call is None:
            call = self.calls[number] = Call(self, number)
        if words[0] == 'placed':
            self.placed = call
        elif words[0] == 'incoming':
            call.user = words[2]
            self.arrived.append(call)
        elif words[0] == 'id':
            call.call_id = words[2]
        elif words[0] == 'call':
            call.code = int(words[-1])
            call.state = {'EARLY': 'early' if call.code == 183 else 'ringing', 'CONFIRMED': 'up',
                          'DISCONNCTD': 'over', 'DISCONNECTED': 'over'}.get(words[2], call.state)
        elif words[0] == 'media':
            call.is_held = words[2] == 'held'
        elif words[0] == 'transfer':
            call.transfers.append(int(words[2]))
        elif words[0] == 'digit':
            call.digits += words[2]
        elif words[0] == 'ear':
            found = dict((int(hertz), float(share)) for hertz, share in (word.split(':') for word in words[4:]))
            self.heard[number] = which(found, int(words[3])) if found else None

    def tell(self, *words):
        self.process.stdin.write((' '.join(str(word) for word in words) + '\n').encode())

    def dial(self, uri):
        self.placed = None
        self.tell('call', uri)
        self.until(lambda: self.placed, PATIENCE_S, f'{self.name} does not call')
        return self.placed

    def ear(self, call):
        self.heard.pop(call.key, None)
        self.tell('ear', call.key, EAR_MS)
        self.until(lambda: call.key in self.heard, PATIENCE_S, lambda: f'{self.name} has no ear ({self.process.poll()})')
        return self.heard[call.key]

    def call_id(self, call):
        return call.call_id

    def answer(self, call, code=200):
        self.tell('answer', call.key, code)

    def reject(self, call, code):
        self.tell('hangup', call.key, code)

    def hangup(self, call):
        self.tell('hangup', call.key)

    def hold(self, call):
        self.tell('hold', call.key)

    def resume(self, call):
        self.tell('resume', call.key)

    def mute(self, call):
        self.tell('mute', call.key)

    def unmute(self, call):
        self.tell('unmute', call.key)

    def dtmf(self, call, digits):
        self.tell('dtmf', call.key, digits)

    def info(self, call, digits):
        self.tell('info', call.key, digits)

    def transfer(self, call, uri):
        self.tell('transfer', call.key, uri)

    def attended(self, call, consultation, _wire):
        self.tell('attended', call.key, consultation.key)

    def stop(self):
        self.thaw()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Baresip(Phone):
    """It answers at once as `name`, rings as `name-ring`, and has early media as `name-early`. What it says it calls
    486 when it is refused, 487 when it is cancelled. It knows nothing of Replaces: that is put into its Refer-To from
    what was seen on the wire."""

    kind = 'baresip'

    def start(self):
        voice = os.path.join(self.folder, 'voice.wav')
        if not os.path.exists(voice):
            tone(voice, self.hertz, 300)
        modules = '/usr/lib/baresip/modules'
        for found in (f'/usr/lib/{os.uname().machine}-linux-gnu/baresip/modules',):
            modules = found if os.path.isdir(found) else modules
        names = ''.join(f'module {name}.so\n' for name in ('g711', 'aufile'))
        with open(os.path.join(self.folder, 'config'), 'w') as file:
            file.write(f'sip_listen 127.0.0.1:{self.port}\nnet_interface 127.0.0.1\naudio_source aufile,{voice}\n'
                       f'audio_player aufile,none\naudio_alert aufile,none\naudio_srate 8000\naudio_channels 1\n'
                       f'rtp_ports {self.media}-{self.media + 199}\nmodule_path {modules}\n'
                       f'call_max_calls 16\ncall_local_timeout 120\nring_aufile none\n'
                       f'ctrl_tcp_listen 127.0.0.1:{self.port + 5}\n{names}'
                       f'module_app account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n')
        with open(os.path.join(self.folder, 'accounts'), 'w') as file:
            for user, mode in (('', 'auto'), ('-ring', 'manual'), ('-early', 'early')):
                file.write(f'<sip:{self.name}{user}@127.0.0.1:{self.port}>;regint=0;audio_codecs=PCMU;answermode={mode}\n')
        open(os.path.join(self.folder, 'contacts'), 'w').close()
        self.process = subprocess.Popen(['baresip', '-4', '-f', self.folder], stdin=subprocess.DEVNULL, cwd=self.folder,
                                        stdout=open(os.path.join(self.folder, 'out.txt'), 'a'), stderr=subprocess.STDOUT)
        self.control, self.dialled, self.said, self.answers = None, None, [], 0

    def ready(self):
        until = time.monotonic() + PATIENCE_S
        while self.control is None:
            try:
                self.control = socket.create_connection(('127.0.0.1', self.port + 5))
            except OSError:
                if time.monotonic() > until:
                    raise Failed(f'{self.name} does not start')
                time.sleep(0.05)
        threading.Thread(target=self.read, args=(self.control,), daemon=True).start()

    def read(self, control):
        pending = b''
        while True:
            try:
                some = control.recv(65536)
            except OSError:
                return
            if not some:
                return
            pending += some
            while True:
                length, colon, rest = pending.partition(b':')
                if not colon or len(rest) < int(length) + 1:
                    break
                word, pending = rest[:int(length)], rest[int(length) + 1:]
                with self.changed:
                    self.take(json.loads(word.decode(errors='replace')))
                    self.changed.notify_all()

    def take(self, word):
        if word.get('response'):
            self.answers += 1
            self.last_answer = word
            return
        kind, key = word.get('type', ''), word.get('id')
        self.said.append(f'{kind} {key} {word.get("param")}')
        if not key or not kind.startswith('CALL_'):
            return
        call = self.calls.get(key)
        if call is None:
            if word.get('direction') == 'outgoing' and self.dialled is not None:
                call, self.dialled = self.dialled, None
                call.key = key
            else:
                call = Call(self, key, word['accountaor'].split(':')[1].split('@')[0])
                self.arrived.append(call)  # one that is answered at once has no event of its own for that
            self.calls[key] = call
        call.account = word['accountaor']
        if kind == 'CALL_INCOMING':
            call.state = 'ringing'
        elif kind == 'CALL_RINGING':
            call.state = 'ringing'
        elif kind == 'CALL_PROGRESS':
            call.state = 'early'
        elif kind == 'CALL_ESTABLISHED':
            call.state = 'up'
        elif kind == 'CALL_CLOSED':
            call.state = 'over'
            code = re.match(r'\d{3}', word.get('param') or '')
            call.code = int(code[0]) if code else 0
        elif kind == 'CALL_TRANSFER_FAILED':
            call.transfers.append(500)
        elif kind == 'CALL_DTMF_START':
            call.digits += word.get('param') or ''

    def tell(self, command, params=''):
        # One thread tells, and waits for each answer.
        before = self.answers
        text = json.dumps({'command': command, 'params': params, 'token': '-'}).encode()
        self.control.sendall(b'%d:%s,' % (len(text), text))
        self.until(lambda: self.answers > before, PATIENCE_S, f'{self.name} does not answer {command}')
        return self.last_answer

    def tell_of(self, call, command, params=''):
        if call.key:
            self.tell('uafind', call.account)
            self.tell('callfind', call.key)
        self.tell(command, params)

    def dial(self, uri):
        self.tell('uafind', f'sip:{self.name}@127.0.0.1:{self.port}')
        call = self.dialled = Call(self, None)
        self.tell('dial', uri)
        return call

    def ear(self, call):
        """Its recordings are there when a call has ended: so this is what comes to its port."""
        return self.on_the_air(call)

    def call_id(self, call):
        return call.key

    def answer(self, call, _code=200):
        self.tell_of(call, 'accept')

    def reject(self, call, _code):
        self.tell_of(call, 'hangup')

    def hangup(self, call):
        self.tell_of(call, 'hangup')

    def hold(self, call):
        self.tell_of(call, 'hold')

    def resume(self, call):
        self.tell_of(call, 'resume')

    def mute(self, call):
        self.tell_of(call, 'mute')

    def unmute(self, call):
        self.tell_of(call, 'mute')

    def dtmf(self, call, digits):
        self.tell_of(call, 'sndcode', digits)

    def transfer(self, call, uri):
        self.tell_of(call, 'transfer', uri)

    def attended(self, call, consultation, wire):
        call_id, ours, theirs, uri = wire.dialog(consultation.key)
        replaces = f'{call_id}%3Bto-tag%3D{theirs}%3Bfrom-tag%3D{ours}'
        self.transfer(call, f'<{uri}?Replaces={replaces}>')

    def stop(self):
        self.thaw()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def sniffer(steps):
    """A socket for what comes over the loopback device as UDP over IPv4 and passes the last of these BPF steps."""
    begin = [(0x28, 0, 0, 12), (0x15, 0, 3 + len(steps), 0x800), (0x30, 0, 0, 23), (0x15, 0, 1 + len(steps), 17)]
    program = begin + steps + [(0x06, 0, 0, 0xffff), (0x06, 0, 0, 0)]
    code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *step) for step in program))
    sniffs = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    sniffs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sniffs.setsockopt(socket.SOL_SOCKET, 26, struct.pack('HL', len(program), ctypes.addressof(code)))
    sniffs.bind(('lo', 0))
    return sniffs


def linear(byte):
    """G.711 mu-law."""
    byte = ~byte & 0xff
    value = (((byte & 15) << 3) + 132 << (byte >> 4 & 7)) - 132
    return -value if byte & 0x80 else value


LINEAR = [linear(byte) for byte in range(256)]
# Ports for the media of each phone.
MEDIA_FIRST, MEDIA_EACH = 12000, 200


class Air(threading.Thread):
    """What comes to the media ports of the phones."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listens, self.lock = {}, threading.Lock()
        self.socket = sniffer([(0x28, 0, 0, 36), (0x35, 0, 2, MEDIA_FIRST), (0x35, 1, 0, 30000)])
        self.start()

    def run(self):
        while True:
            frame, (_, _, kind, _, _) = self.socket.recvfrom(65536)
            port = frame[36] << 8 | frame[37]
            if kind == 4 or len(frame) < 54 or frame[43] & 127:  # PCMU has number 0
                continue
            with self.lock:
                for heard in self.listens.get(port, ()):
                    heard[1].append(frame[54:])

    def listen(self, port):
        heard = (port, [])
        with self.lock:
            self.listens.setdefault(port, []).append(heard)
        return heard

    def enough(self, heard):
        with self.lock:
            self.listens[heard[0]].remove(heard)
        return [LINEAR[byte] for packet in heard[1] for byte in packet]


class Message:
    """A SIP message as it was on the wire."""

    def __init__(self, at, source, target, text):
        self.at, self.source, self.target, self.text = at, source, target, text
        self.first = text.split('\r\n', 1)[0]
        self.is_response = self.first.startswith('SIP/2.0 ')
        self.status = int(self.first.split(' ')[1]) if self.is_response else 0
        self.call_id = self.field('call-id') or self.field('i')
        number, _, self.method = self.field('cseq').partition(' ')
        self.cseq = number
        branch = re.search(r'branch=([^;,\s]+)', self.field('via') or self.field('v'))
        self.branch = branch[1] if branch else ''

    def field(self, name):
        found = re.search(r'(?im)^' + name + r'[ \t]*:[ \t]*(.*?)\r?$', self.text)
        return found[1].strip() if found else ''

    def tag(self, name):
        found = re.search(r';tag=([^;,\s]+)', self.field(name))
        return found[1] if found else ''

    def __repr__(self):
        return f'{self.source}>{self.target} {self.first} ({self.cseq} {self.method}, {self.call_id[:12]})'


class Wire(threading.Thread):
    """All SIP between the switch and the phones, over UDP on the loopback device."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.messages, self.lock = port, [], threading.Lock()
        self.socket = sniffer([(0x28, 0, 0, 34), (0x15, 2, 0, port), (0x28, 0, 0, 36), (0x15, 0, 1, port)])
        self.start()

    def media_of(self, port, call_id):
        """Where the phone at this port said last that it takes the media of a call."""
        with self.lock:
            said = [message.text for message in self.messages if message.source == port and message.call_id == call_id]
        found = [re.search(r'(?m)^m=audio (\d+) ', text) for text in said]
        return next((int(line[1]) for line in reversed(found) if line), None)

    def run(self):
        while True:
            frame, (_, _, kind, _, _) = self.socket.recvfrom(65536)
            if kind == 4 or len(frame) < 60:  # sent: it comes again as received
                continue
            source, target = struct.unpack('!HH', frame[34:38])
            text = frame[42:].decode(errors='replace')
            if not text.strip('\r\n\0'):
                continue
            message = Message(time.monotonic(), source, target, text)
            with self.lock:
                self.messages.append(message)

    def of(self, ports, since):
        with self.lock:
            messages = self.messages[since:]
        return [message for message in messages if message.source in ports or message.target in ports]

    def count(self):
        with self.lock:
            return len(self.messages)

    def dialog(self, call_id):
        """Call-ID, the tag and remote tag of whoever called, and the other side's contact."""
        with self.lock:
            found = [message for message in self.messages if message.call_id == call_id and message.status == 200
                     and message.method == 'INVITE']
        if not found:
            raise Failed(f'no answer to {call_id} was on the wire')
        contact = re.search(r'<([^>]*)>', found[-1].field('contact'))
        return call_id, found[-1].tag('from'), found[-1].tag('to'), contact[1]
