//! Files on their way to the media process.
#![cfg(not(loom))]

use contract::{FileOffer, LegRef};
use shm::{FromSocket, give_file, take_file};
use std::io::{Read, Seek, Write};
use std::os::unix::net::UnixStream;

fn file() -> std::fs::File {
    let memory = rustix::fs::memfd_create("sound", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    memory.into()
}

#[test]
fn files_arrive_in_order_and_are_the_same_files() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut files: Vec<_> = (0..3).map(|_| file()).collect();
    let offer = |number| FileOffer::new(LegRef::new(10_000, 1), number);
    for (number, file) in files.iter().enumerate() {
        give_file(&theirs, &offer(number as u64), file).unwrap();
    }
    for (number, mut file) in files.drain(..).enumerate() {
        let FromSocket::File(what, mut taken) = take_file(&ours) else { panic!("a file") };
        assert_eq!(what, offer(number as u64));
        taken.write_all(b"said").unwrap();
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "said");
    }
    assert!(matches!(take_file(&ours), FromSocket::Nothing));
    drop(theirs);
    assert!(matches!(take_file(&ours), FromSocket::Gone));
}

#[test]
fn nonsense_is_told_apart_and_a_full_socket_does_not_wait() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(&[0xff; 100]).unwrap();
    for _ in 0..5 {
        assert!(matches!(take_file(&ours), FromSocket::Nonsense));
    }
    assert!(matches!(take_file(&ours), FromSocket::Nothing));
    // An offer without a file.
    theirs.write_all(zerocopy::IntoBytes::as_bytes(&FileOffer::new(LegRef::new(10_000, 1), 1))).unwrap();
    assert!(matches!(take_file(&ours), FromSocket::Nonsense));
    let offer = FileOffer::new(LegRef::new(10_000, 1), 1);
    let sound = file();
    let full = (0..100_000).find_map(|_| give_file(&theirs, &offer, &sound).err()).expect("it fills up");
    assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock);
}
