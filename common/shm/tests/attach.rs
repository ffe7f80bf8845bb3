//! Attaching to a region whose header lies: refused with the reason, before anything behind the header is touched.
#![cfg(not(loom))]

mod common;

use common::plan;
use contract::LAYOUT_VERSION;
use proptest::prelude::*;
use rustix::fs::{MemfdFlags, SealFlags};
use shm::{AttachError, CreateError, PlanError, Region, RegionPlan, Words};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;

/// Words of the header, as `region.rs` has them.
const VERSION: usize = 1;
const HASH: usize = 2;
const WORKERS: usize = 3;
const LAST_PORT: usize = 7;
const HEADER_WORDS: usize = 10;

fn header(region: &Region) -> Vec<u64> {
    region.words()[..HEADER_WORDS].iter().map(|word| word.load(Relaxed)).collect()
}

fn file(header: &[u64], bytes: u64, seals: SealFlags) -> OwnedFd {
    let fd = rustix::fs::memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&fd, bytes).unwrap();
    let text: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let text = &text[..text.len().min(bytes as usize)];
    assert_eq!(rustix::io::pwrite(&fd, text, 0).unwrap(), text.len());
    rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
    fd
}

const SEALS: SealFlags = SealFlags::GROW.union(SealFlags::SHRINK);

fn attach_with(change: impl Fn(&mut Vec<u64>)) -> Result<Region, AttachError> {
    let region = Region::create(&plan(2, 3)).unwrap();
    let mut header = header(&region);
    change(&mut header);
    Region::attach(file(&header, region.plan().bytes() as u64, SEALS))
}

#[test]
fn a_sound_region_is_attached_with_its_plan() {
    let plan = plan(2, 3);
    let region = Region::create(&plan).unwrap();
    let other = Region::attach(region.as_fd().try_clone_to_owned().unwrap()).unwrap();
    assert_eq!(other.plan(), &plan);
    assert_eq!((other.creator_pid(), other.created_at()), (std::process::id(), region.created_at()));
    region.words()[4_000].store(77, Relaxed);
    assert_eq!(other.words()[4_000].load(Relaxed), 77, "the same memory");
    assert!(rustix::fs::ftruncate(other.as_fd(), 0).is_err(), "nobody can take it away");
    assert!(attach_with(|_| {}).is_ok(), "the copies below are only refused for their change");
}

#[test]
fn another_version_is_refused_with_both_named() {
    let error = attach_with(|header| header[VERSION] += 1).unwrap_err();
    let (ours, theirs) = (format!("version {LAYOUT_VERSION}"), format!("version {}", LAYOUT_VERSION + 1));
    assert!(error.to_string().contains(&ours) && error.to_string().contains(&theirs), "{error}");
    assert!(matches!(attach_with(|header| header[HASH] ^= 1), Err(AttachError::Hash { .. })));
}

#[test]
fn lies_are_refused() {
    assert!(matches!(attach_with(|h| h[0] = 0), Err(AttachError::Foreign(_))));
    for workers in [0, 65, u64::MAX] {
        assert!(matches!(attach_with(|h| h[WORKERS] = workers), Err(AttachError::Plan(PlanError::Workers(_)))));
    }
    assert!(matches!(attach_with(|h| h[LAST_PORT] = 9_000), Err(AttachError::Plan(PlanError::Ports { .. }))));
    assert!(matches!(attach_with(|h| h[LAST_PORT] = 70_000), Err(AttachError::Foreign(_))));
    assert!(matches!(attach_with(|h| h[WORKERS] = 1), Err(AttachError::Hash { .. })));
    let region = Region::create(&plan(2, 3)).unwrap();
    let (header, bytes) = (header(&region), region.plan().bytes() as u64);
    for wrong in [4_096, bytes - 4_096, bytes + 4_096] {
        assert!(matches!(Region::attach(file(&header, wrong, SEALS)), Err(AttachError::Size { .. })));
    }
    for tiny in [0, 8, 4_095] {
        assert!(matches!(Region::attach(file(&header, tiny, SEALS)), Err(AttachError::Foreign(_))));
    }
    for seals in [SealFlags::empty(), SealFlags::GROW, SealFlags::SHRINK] {
        assert!(matches!(Region::attach(file(&header, bytes, seals)), Err(AttachError::Foreign(_))));
    }
    let socket = std::os::unix::net::UnixStream::pair().unwrap().0;
    assert!(Region::attach(socket.into()).is_err(), "not even a file");
}

#[test]
fn plans_that_cannot_be_are_refused() {
    let refused = |plan: RegionPlan| match Region::create(&plan) {
        Err(CreateError::Plan(error)) => error,
        other => panic!("{plan:?} gave {other:?}"),
    };
    let good = plan(1, 1);
    assert_eq!(refused(RegionPlan { workers: 0, ..good.clone() }), PlanError::Workers(0));
    assert_eq!(refused(RegionPlan { clients: 17, ..good.clone() }), PlanError::Clients(17));
    assert_eq!(refused(RegionPlan { queue_slots: 100, ..good.clone() }), PlanError::QueueSlots(100));
    let huge = RegionPlan { workers: 64, clients: 16, queue_slots: 65_536, ..good.clone() };
    assert!(matches!(refused(huge), PlanError::TooLarge(_)));
    #[expect(clippy::reversed_empty_ranges, reason = "what a user may write")]
    for rtp_ports in [20_000..=20_000, 20_001..=20_002, 0..=2_000, 65_535..=65_535, 20_000..=10_000] {
        assert!(matches!(refused(RegionPlan { rtp_ports, ..good.clone() }), PlanError::Ports { .. }));
    }
    assert!(Region::create(&RegionPlan { rtp_ports: 65_534..=65_535, ..good }).is_ok());
}

#[test]
fn the_summary_names_the_memory() {
    let plan = RegionPlan { workers: 2, ..RegionPlan::default() };
    let summary = plan.summary();
    assert!(summary.contains("MiB") && summary.contains("5000 port pairs 10000-20000"), "{summary}");
    assert!(plan.bytes() < 32 << 20, "{summary}");
}

/// Only touched pages cost memory: a fresh region for 16 clients has few.
#[test]
fn a_fresh_region_is_almost_free() {
    let region = Region::create(&RegionPlan::default()).unwrap();
    let blocks = rustix::fs::fstat(region.as_fd()).unwrap().st_blocks as usize;
    assert!(blocks * 512 < 512 * 1_024, "{} KiB of {} are in use", blocks / 2, region.plan().summary());
}

proptest! {
    #[test]
    fn random_bytes_never_attach_and_never_crash(words in prop::collection::vec(any::<u64>(), HEADER_WORDS), pages in 1u64..64) {
        prop_assert!(Region::attach(file(&words, pages * 4_096, SEALS)).is_err());
    }

    #[test]
    fn a_header_with_a_few_words_changed_is_refused_or_the_same(
        changes in prop::collection::vec((0..HEADER_WORDS - 2, prop_oneof![any::<u64>(), 0u64..70_000]), 1..4),
    ) {
        let region = Region::create(&plan(2, 3)).unwrap();
        let (sound, mut changed) = (header(&region), header(&region));
        changes.into_iter().for_each(|(word, value)| changed[word] = value);
        let attached = Region::attach(file(&changed, region.plan().bytes() as u64, SEALS));
        prop_assert_eq!(attached.is_ok(), changed == sound);
    }
}
