//! Parsing, typing and answering allocate nothing, counted by the allocator itself.

use sip_wire::{Framer, Framing, Message, Method, Name, Reply, RequestWriter, ResponseWriter, Rewrite, StatusCode};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn count_one() {
    COUNT.with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system allocator with the caller's own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of(work: impl FnOnce()) -> usize {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

const INVITE: &[u8] = include_bytes!("samples/invite_1k.sip");

fn type_everything(message: &Message<'_>) {
    assert_eq!(message.vias().filter(Result::is_ok).count(), 1);
    assert!(message.from().unwrap().tag().is_some());
    assert!(message.to().unwrap().tag().is_none());
    assert!(message.contact().unwrap().unwrap().uri.host.is_some());
    assert_eq!(message.cseq().unwrap().method, Method::Invite);
    assert!(!message.call_id().unwrap().is_empty());
    assert_eq!(message.routes().filter(Result::is_ok).count(), 1);
    assert_eq!(message.tokens(Name::Supported).count(), 4);
    assert_eq!(message.session_expires().unwrap().unwrap().seconds, 1800);
    assert!(message.content_type().unwrap().unwrap().is("application", "sdp"));
    assert!(!message.body().is_empty());
}

#[test]
fn parse_type_and_validate_allocate_nothing() {
    let count = allocations_of(|| {
        assert!(sip_wire::call_id(INVITE).is_some());
        assert_eq!(Framer::default().frame(INVITE), Framing::Complete { bytes: INVITE.len() });
        let message = Message::parse(INVITE).unwrap();
        message.validate_request().unwrap();
        type_everything(&message);
    });
    assert_eq!(count, 0);
}

#[test]
fn writing_into_a_warm_buffer_allocates_nothing() {
    let mut out = Vec::with_capacity(4096);
    let count = allocations_of(|| {
        let message = Message::parse(INVITE).unwrap();
        let reply = Reply { to_tag: Some(b"t1"), source: Some(([192, 0, 2, 1], 5062).into()), ..Reply::default() };
        let mut response = ResponseWriter::new(&mut out, &message, StatusCode::OK, &reply);
        response.header(Name::Contact, "<sip:192.0.2.9>").number(Name::Expires, 60);
        response.header_fmt(Name::Allow, format_args!("{}, {}", Method::Invite, Method::Bye));
        response.finish_with_body("application/sdp", b"v=0\r\n").unwrap();
        out.clear();
        let mut forward = Rewrite::new(&message);
        forward.push_via(b"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx").max_forwards(69).pop_route();
        forward.via_source(([192, 0, 2, 1], 5062).into()).append(Name::RecordRoute, b"<sip:192.0.2.9;lr>");
        forward.write(&mut out).unwrap();
        out.clear();
        let mut request = RequestWriter::new(&mut out, Method::Bye, "sip:a@192.0.2.1");
        request.header(Name::To, "<sip:b@c>").cseq(7, &Method::Bye).copy(&message, Name::CallId);
        request.finish().unwrap();
    });
    assert_eq!(count, 0);
}
