// A phone of SIP.js's for the tests: OPTIONS, then a call over WSS that it hangs up, then one that the switch's side ends.
// Arguments: URL TARGET [USER PASSWORD]. Media is plain RTP in words only: there is no DTLS and no ICE yet.
// It says what happens line by line, and ends with `done`.
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const modules = process.env.SIPJS_MODULES;
const require = createRequire(pathToFileURL(path.join(modules, "phone.js")));
globalThis.WebSocket = require("ws");
const { Inviter, SessionState, UserAgent, URI } = await import(pathToFileURL(require.resolve("sip.js")));

const [url, target, user, password] = process.argv.slice(2);
const say = (...words) => console.log(words.join(" "));

const sdp = (direction) =>
  "v=0\r\no=sipjs 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
  `m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=${direction}\r\n`;

// RTP in place of WebRTC: an offer of ours, and a look at the answer.
const descriptions = () => ({
  close() {},
  getDescription: () => Promise.resolve({ body: sdp("sendrecv"), contentType: "application/sdp" }),
  hasDescription: (type) => type === "application/sdp",
  rollbackDescription: () => Promise.resolve(),
  setDescription(text) {
    say("answer", /m=audio [1-9][0-9]* RTP\/AVP 0/.test(text) ? "audio" : text);
    return Promise.resolve();
  },
  sendDtmf: () => false,
});

const agent = new UserAgent({
  uri: UserAgent.makeURI("sip:alice@example.com"),
  transportOptions: { server: url, traceSip: false },
  sessionDescriptionHandlerFactory: descriptions,
  authorizationUsername: user,
  authorizationPassword: password,
  logLevel: process.env.SIPJS_LOG ?? "error",
});
await agent.start();
say("connected");

const uri = UserAgent.makeURI(target);
const options = agent.userAgentCore.makeOutgoingRequestMessage("OPTIONS", uri, agent.configuration.uri, uri, {});
await new Promise((resolve, reject) => {
  agent.userAgentCore.request(options, {
    onAccept: (response) => resolve(say("options", response.message.statusCode)),
    onReject: (response) => reject(new Error(`OPTIONS: ${response.message.statusCode}`)),
  });
});

const ended = (session, wanted) =>
  new Promise((resolve) => {
    const look = (state) => {
      say("session", state);
      if (state === wanted) resolve();
    };
    session.stateChange.addListener(look);
  });

const call = async (hangUp) => {
  const session = new Inviter(agent, uri);
  const established = ended(session, SessionState.Established);
  const terminated = ended(session, SessionState.Terminated);
  await session.invite({ requestDelegate: { onReject: (response) => say("rejected", response.message.statusCode) } });
  await established;
  if (hangUp) await session.bye();
  await terminated;
};
await call(true);
say("waiting");
await call(false);
await agent.stop();
say("done");
process.exit(0);
