"""The call cases of `voiptests` (PyPI), played by `sippy`'s user agents on both sides of a back-to-back user agent.

    call_suite.py alice|bob OUR-PORT SWITCH-PORT MEDIA-FIRST MEDIA-LAST

Alice plays every case over IPv4 and IPv6 at once and calls the switch; Bob answers what the switch sends on. Each says in
its last line how many cases were good and which were not, and exits with 0 when all were.
"""

import os
import random
import signal
import sys
from importlib import import_module

from sippy.Core.EventDispatcher import ED2
from sippy.MsgBody import MsgBody
from sippy.SdpOrigin import SdpOrigin
from sippy.SipConf import SipConf
from sippy.SipLogger import SipLogger
from sippy.SipTransactionManager import SipTransactionManager
from sippy.Time.Timeout import Timeout

SIDE = sys.argv[1]
OUR_PORT, SWITCH_PORT, MEDIA_FIRST, MEDIA_LAST = (int(word) for word in sys.argv[2:6])

# All cases of the package but `reinv_adelay`, which its own back-to-back user agent does not pass either.
CASES = [str(number) for number in range(1, 15)] + [
    'early_cancel', 'early_cancel_lost100', 'reinvite', 'reinv_fail', 'reinv_brkn1', 'reinv_brkn2', 'reinv_onhold',
    'reinv_frombob', 'reinv_bad_ack']
LIMIT_S = 110

SDP = '\r\n'.join([
    'v=0', 'o=- 380960 380960 IN IP4 192.0.2.95', 's=-', 'c=IN IP4 192.0.2.95', 't=0 0', 'm=audio 16474 RTP/AVP 0 8 101',
    'a=rtpmap:0 PCMU/8000', 'a=rtpmap:8 PCMA/8000', 'a=rtpmap:101 telephone-event/8000', 'a=fmtp:101 0-15', 'a=sendrecv',
    ''])


def case(name):
    """The class that plays this side of a case."""
    module, suffix = ('t' + name, name) if name.isdigit() else (name, '_' + name)
    test = getattr(import_module('test_cases.' + module), f'{SIDE[0]}_test{suffix}')
    if hasattr(test, 'max_delay'):
        test.max_delay = 20.0  # what counts is that the call is cancelled, not how fast this machine is
    if name == 'reinv_frombob' and SIDE == 'alice':
        test.disconnect_ival = 60.0  # Bob ends it
    elif hasattr(test, 'reinvite_in_progress') and name != 'reinv_bad_ack':
        test.disconnect = after_reinvite(test.disconnect)
    return test


def after_reinvite(disconnect):
    """Ends the call when no re-INVITE of ours is on its way, however long that takes here."""
    def wait(self, ua):
        if (self.reinvite_in_progress or not self.reinvite_done) and not self.disconnect_done and self.reinvite_ival:
            Timeout(self.disconnect, 0.5, 1, ua)
        else:
            disconnect(self, ua)
    return wait


def described(family):
    """A session description with an address of nobody (nothing of it reaches a network) and a port that is not the switch's."""
    body = MsgBody(SDP)
    body.parse()
    body.content.o_header = SdpOrigin()
    for section in body.content.sections:
        port = MEDIA_FIRST
        while MEDIA_FIRST <= port <= MEDIA_LAST:
            port = random.randrange(1024, 65500, 2)
        section.m_header.port = port
        number = random.randrange(1, 255)
        address = f'198.51.100.{number}' if family == 'IP4' else f'2001:db8::{number:x}'
        section.c_header.atype, section.c_header.addr = family, address
    return body


class Setting:
    """What the cases of the package want to know of where they are played."""

    uac_creds = uas_creds = None

    def __init__(self, core, family, cli=None):
        self.global_config, self.done_cb = core.config, core.done
        self.atype, self.cli, self.body = family, cli, described(family)
        self.nh_address = ('127.0.0.1' if family == 'IP4' else '[::1]', SWITCH_PORT)

    def checkhostport(self, body):
        """Media has to be the switch's own: its address and its ports."""
        for section in body.content.sections:
            place = (section.c_header.atype, section.c_header.addr)
            if place not in [('IP4', '127.0.0.1'), ('IP6', '::1')] or place[0] != self.atype:
                return False, f'{place} is not the switch'
            if not MEDIA_FIRST <= section.m_header.port <= MEDIA_LAST:
                return False, f'port {section.m_header.port} is not the switch\'s'
        return True, 'good'


class Core:
    def __init__(self):
        self.running, self.good, self.bad = 0, 0, []
        self.config = {'_sip_address': SipConf.my_address, '_sip_port': OUR_PORT, '_sip_logger': SipLogger(SIDE)}
        self.config['_sip_tm'] = SipTransactionManager(self.config, self.request)
        self.cases = [case(name) for name in CASES]
        Timeout(ED2.breakLoop, LIMIT_S, 1)
        if SIDE == 'alice':
            for family in ('IP4', 'IP6'):
                for test in self.cases:
                    self.running += 1
                    test(Setting(self, family, f'{test.cli}_ipv{family[-1]}'))

    def request(self, request, transaction):
        """A call for Bob; the called user names the case, the caller's name the family."""
        def refuse(status, reason):
            return request.genResponse(status, reason), None, None
        if request.getHFBody('to').getTag() is not None:
            return refuse(481, 'Call Leg/Transaction Does Not Exist')
        if SIDE == 'alice' or request.getMethod() != 'INVITE':
            return refuse(501, 'Not Implemented')
        called = request.getRURI().username
        found = [test for test in self.cases if test.cli == called]
        if not found:
            return refuse(404, 'Test Does Not Exist')
        caller = request.getHFBody('from').getUrl().username
        setting = Setting(self, 'IP6' if caller.endswith('_ipv6') else 'IP4')
        self.running += 1
        return found[0](setting).answer(self.config, setting.body, request, transaction)

    def done(self, test):
        self.running -= 1
        if test.rval == 0:
            self.good += 1
        else:
            self.bad.append(f'{test.cli}:{test.tccfg.atype}')
        if self.running == 0 and SIDE == 'alice':
            ED2.breakLoop()


core = Core()
signal.signal(signal.SIGTERM, lambda *_: ED2.breakLoop())
ED2.loop()
print(f'{SIDE}: {core.good} good, {core.running} unfinished, bad: {sorted(core.bad)}', flush=True)
# The package's threads do not end by themselves.
os._exit(1 if core.bad or core.running else 0)
