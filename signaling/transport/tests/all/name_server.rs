//! A name server on loopback, over UDP and TCP, that says what a test tells it to.

use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, NAPTR, SOA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Longer answers go over TCP.
const UDP_MAX_BYTES: usize = 1_232;

#[derive(Default)]
pub(crate) struct Zone {
    records: Vec<(Name, RData)>,
    ttl: u32,
    silent: Vec<Name>,
    truncated: Vec<Name>,
    failing: Vec<Name>,
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

impl Zone {
    pub(crate) fn new() -> Self {
        Self { ttl: 300, ..Self::default() }
    }

    fn with(mut self, owner: &str, data: RData) -> Self {
        self.records.push((name(owner), data));
        self
    }

    pub(crate) fn address(self, owner: &str, ip: &str) -> Self {
        let data = match ip.parse().unwrap() {
            IpAddr::V4(ip) => RData::A(A(ip)),
            IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
        };
        self.with(owner, data)
    }

    pub(crate) fn cname(self, owner: &str, to: &str) -> Self {
        self.with(owner, RData::CNAME(CNAME(name(to))))
    }

    pub(crate) fn srv(self, owner: &str, priority: u16, weight: u16, port: u16, target: &str) -> Self {
        self.with(owner, RData::SRV(SRV::new(priority, weight, port, name(target))))
    }

    pub(crate) fn naptr(self, owner: &str, order: u16, preference: u16, service: &str, replacement: &str) -> Self {
        let (flags, service): (Box<[u8]>, Box<[u8]>) = (Box::from(*b"s"), service.as_bytes().into());
        self.with(owner, RData::NAPTR(NAPTR::new(order, preference, flags, service, Box::default(), name(replacement))))
    }

    /// Nothing is answered about a name.
    pub(crate) fn silent(mut self, owner: &str) -> Self {
        self.silent.push(name(owner));
        self
    }

    /// Over UDP the answer about a name is cut off.
    pub(crate) fn truncated(mut self, owner: &str) -> Self {
        self.truncated.push(name(owner));
        self
    }

    /// SERVFAIL.
    pub(crate) fn failing(mut self, owner: &str) -> Self {
        self.failing.push(name(owner));
        self
    }

    pub(crate) fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = seconds;
        self
    }

    fn answer(&self, request: &Message, is_udp: bool) -> Option<Message> {
        let query = request.queries.first()?.clone();
        let mut owner = query.name().clone();
        if self.silent.contains(&owner) {
            return None;
        }
        let mut response = Message::new(request.metadata.id, MessageType::Response, OpCode::Query);
        response.metadata.recursion_desired = true;
        response.metadata.recursion_available = true;
        response.add_query(query.clone());
        if self.failing.contains(&owner) {
            response.metadata.response_code = ResponseCode::ServFail;
            return Some(response);
        }
        if is_udp && self.truncated.contains(&owner) {
            response.metadata.truncation = true;
            return Some(response);
        }
        let exists = self.records.iter().any(|(of, _)| *of == owner);
        let mut answers = Vec::new();
        while let Some((_, RData::CNAME(to))) =
            self.records.iter().find(|(of, data)| *of == owner && data.record_type() == RecordType::CNAME)
        {
            answers.push(Record::from_rdata(owner, self.ttl, RData::CNAME(to.clone())));
            owner = to.0.clone();
        }
        let fits = |(of, data): &&(Name, RData)| *of == owner && data.record_type() == query.query_type();
        let found = self.records.iter().filter(fits);
        answers.extend(found.map(|(of, data)| Record::from_rdata(of.clone(), self.ttl, data.clone())));
        if answers.is_empty() {
            let soa = SOA::new(name("ns.example"), name("host.example"), 1, 1, 1, 1, self.ttl);
            response.add_authority(Record::from_rdata(name("example"), self.ttl, RData::SOA(soa)));
            response.metadata.response_code = if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
        }
        response.add_answers(answers);
        Some(response)
    }
}

pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    asked_udp: Arc<AtomicU32>,
    asked_tcp: Arc<AtomicU32>,
}

impl NameServer {
    pub(crate) async fn start(zone: Zone) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            // The same port of the other protocol may be taken: then another pair.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let server = Self {
            address: udp.local_addr().unwrap(),
            zone: Arc::new(Mutex::new(zone)),
            asked_udp: Arc::default(),
            asked_tcp: Arc::default(),
        };
        tokio::spawn(serve_udp(udp, server.zone.clone(), server.asked_udp.clone()));
        tokio::spawn(serve_tcp(tcp, server.zone.clone(), server.asked_tcp.clone()));
        server
    }

    /// Questions by UDP and by TCP so far.
    pub(crate) fn asked(&self) -> (u32, u32) {
        (self.asked_udp.load(Relaxed), self.asked_tcp.load(Relaxed))
    }

    pub(crate) fn set(&self, zone: Zone) {
        *self.zone.lock().unwrap() = zone;
    }
}

fn answer(zone: &Mutex<Zone>, bytes: &[u8], is_udp: bool) -> Option<Vec<u8>> {
    let request = Message::from_vec(bytes).ok()?;
    let response = zone.lock().unwrap().answer(&request, is_udp)?;
    let bytes = response.to_vec().ok()?;
    if !is_udp || bytes.len() <= UDP_MAX_BYTES {
        return Some(bytes);
    }
    let mut cut = Message::new(response.metadata.id, MessageType::Response, OpCode::Query);
    cut.metadata.truncation = true;
    cut.add_query(response.queries.first()?.clone());
    cut.to_vec().ok()
}

async fn serve_udp(socket: UdpSocket, zone: Arc<Mutex<Zone>>, asked: Arc<AtomicU32>) {
    let mut buffer = [0; 4_096];
    while let Ok((bytes, from)) = socket.recv_from(&mut buffer).await {
        asked.fetch_add(1, Relaxed);
        if let Some(response) = answer(&zone, &buffer[..bytes], true) {
            let _ = socket.send_to(&response, from).await; // who asked may have given up
        }
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<Mutex<Zone>>, asked: Arc<AtomicU32>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_stream(stream, zone.clone(), asked.clone()));
    }
}

async fn serve_stream(mut stream: TcpStream, zone: Arc<Mutex<Zone>>, asked: Arc<AtomicU32>) {
    while let Ok(length) = stream.read_u16().await {
        let mut request = vec![0; usize::from(length)];
        if stream.read_exact(&mut request).await.is_err() {
            return;
        }
        asked.fetch_add(1, Relaxed);
        if let Some(response) = answer(&zone, &request, false) {
            let whole = [&(response.len() as u16).to_be_bytes()[..], &response].concat();
            if stream.write_all(&whole).await.is_err() {
                return;
            }
        }
    }
}
