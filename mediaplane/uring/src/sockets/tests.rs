use super::*;
use std::net::UdpSocket;

#[test]
fn a_port_that_another_program_holds_takes_its_pair_out() {
    // Two neighbouring ports: the system chooses the even one, the odd one above it must be free too.
    let (held, even) = (0..64)
        .find_map(|_| {
            let held = UdpSocket::bind("127.0.0.1:0").ok()?;
            let port = held.local_addr().ok()?.port();
            (port % 2 == 1).then_some((held, port - 1))
        })
        .expect("an odd port in 64 tries");
    match Sockets::bind(even, 2, BindTo::Address(Ipv4Addr::LOCALHOST.into())) {
        Err(BindError::NonePossible { first, last }) => assert_eq!((first, last), (even, even + 1)),
        other => panic!("{other:?}"),
    }
    drop(held);
}

#[test]
fn parked_sockets_keep_nothing_and_refuse_like_closed_ones() {
    let sockets = Sockets::ephemeral(1, BindTo::Any).unwrap();
    let port = sockets.local_port(SocketIndex(0)).unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.connect(("127.0.0.1", port)).unwrap();
    stranger.send(b"early").unwrap();
    assert_eq!(stranger.send(b"early").unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    sockets.open(SocketIndex(0), 46).unwrap();
    stranger.send(b"now").unwrap();
    let mut bytes = [0; 16];
    let (count, _) =
        rustix::net::recv(sockets.get(SocketIndex(0)).unwrap(), &mut bytes[..], rustix::net::RecvFlags::DONTWAIT)
            .unwrap();
    assert_eq!(&bytes[..count], b"now");
}
