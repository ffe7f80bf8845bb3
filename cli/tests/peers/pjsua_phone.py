"""A phone of PJSIP's for the tests: reads commands line by line, says what happens line by line.

Commands: call URI | hold | resume | dtmf DIGITS | transfer URI | consult URI | attended | hangup | quit
Says: ready ADDRESS | call N STATE CODE | media N STATE | transfer N CODE | options; incoming calls are answered at once.
Arguments: TRANSPORT PORT FOLDER [CA-FILE] [USER PASSWORD]. What is heard goes to FOLDER/heard-N.wav; FOLDER/voice.wav is said.
"""
import os
import select
import sys
import pjsua2 as pj

transport, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
authority = sys.argv[4] if len(sys.argv) > 4 else ""
credentials = sys.argv[5:7]
endpoint, calls = pj.Endpoint(), {}
NAMES = {
    pj.PJSUA_CALL_MEDIA_NONE: "none",
    pj.PJSUA_CALL_MEDIA_ACTIVE: "active",
    pj.PJSUA_CALL_MEDIA_LOCAL_HOLD: "held",
    pj.PJSUA_CALL_MEDIA_REMOTE_HOLD: "held-by-peer",
    pj.PJSUA_CALL_MEDIA_ERROR: "error",
}


def say(*words):
    print(*words, flush=True)


class Call(pj.Call):
    def __init__(self, account, number, call_id=pj.PJSUA_INVALID_ID):
        super().__init__(account, call_id)
        self.number, self.recorder, self.player = number, None, None

    def onCallState(self, _):
        info = self.getInfo()
        say("call", self.number, info.stateText, int(info.lastStatusCode))

    def onCallMediaState(self, _):
        info = self.getInfo()  # the list of its media goes with it
        for index, media in enumerate(info.media):
            say("media", self.number, NAMES.get(media.status, media.status))
            if media.status != pj.PJSUA_CALL_MEDIA_ACTIVE:
                continue
            audio = self.getAudioMedia(index)
            if self.recorder is None:
                self.recorder = pj.AudioMediaRecorder()
                self.recorder.createRecorder(f"{folder}/heard-{self.number}.wav")
                self.player = pj.AudioMediaPlayer()
                self.player.createPlayer(f"{folder}/voice.wav")
            audio.startTransmit(self.recorder)
            self.player.startTransmit(audio)

    def onCallTransferStatus(self, status):
        say("transfer", self.number, int(status.statusCode))


class Account(pj.Account):
    def onIncomingCall(self, incoming):
        call = Call(self, len(calls), incoming.callId)
        calls[len(calls)] = call
        answer = pj.CallOpParam()
        answer.statusCode = 200
        call.answer(answer)


settings = pj.EpConfig()
settings.logConfig.level = 4
settings.logConfig.consoleLevel = 0
settings.logConfig.filename = f"{folder}/pjsua.log"
settings.uaConfig.threadCnt = 0
settings.uaConfig.mainThreadOnly = True
settings.medConfig.noVad = True
endpoint.libCreate()
endpoint.libInit(settings)
endpoint.audDevManager().setNullDev()
here = pj.TransportConfig()
here.port, here.boundAddress = port, "127.0.0.1"
here.tlsConfig.CaListFile = authority
here.tlsConfig.verifyServer = bool(authority)
kind = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP, "tls": pj.PJSIP_TRANSPORT_TLS}[transport]
endpoint.transportCreate(kind, here)
endpoint.libStart()
mine = pj.AccountConfig()
mine.idUri = "sip:alice@example.com"
mine.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
mine.mediaConfig.transportConfig.publicAddress = "127.0.0.1"
if credentials:
    mine.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", credentials[0], 0, credentials[1]))
account = Account()
account.create(mine)
say("ready", f"sip:alice@127.0.0.1:{port};transport={transport}")


def place(uri):
    number = len(calls)
    calls[number] = Call(account, number)
    if transport != "udp" and ";transport=" not in uri:
        uri += f";transport={transport}"
    calls[number].makeCall(uri, pj.CallOpParam(True))


def last():
    return calls[max(number for number, call in calls.items() if call.isActive())]


def first():
    return calls[min(number for number, call in calls.items() if call.isActive())]


def carry_out(command, rest):
    empty = pj.CallOpParam(True)
    if command in ("call", "consult"):
        place(rest)
    elif command == "hold":
        first().setHold(empty)
    elif command == "resume":
        empty.opt.flag = pj.PJSUA_CALL_UNHOLD
        first().reinvite(empty)
    elif command == "dtmf":
        last().dialDtmf(rest)
    elif command == "transfer":
        first().xfer(rest, empty)
    elif command == "attended":
        first().xferReplaces(last(), empty)
    elif command == "hangup":
        last().hangup(empty)


running, pending = True, b""
while running:
    endpoint.libHandleEvents(20)
    while running and select.select([0], [], [], 0)[0]:
        some = os.read(0, 4096)
        running = bool(some)
        pending += some
        *lines, pending = pending.split(b"\n")
        for line in lines:
            command, _, rest = line.decode().strip().partition(" ")
            if command == "quit":
                running = False
                break
            try:
                carry_out(command, rest)
            except pj.Error as error:
                say("error", command, error.info().replace("\n", " "))
            except ValueError:
                say("error", command, "there is no call")
calls.clear()
endpoint.libDestroy()
say("bye")
