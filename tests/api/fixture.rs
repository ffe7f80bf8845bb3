//! A coordinator for a test: on free ports of loopback.

use loadtest::callers::{CallPlan, CallsReport, call};
use loadtest::peers::{Sipp, SippPlan, SippResult, free_range};
use ringplane::api::*;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PORT_COUNT: u16 = 200;

/// On a port that the system chooses, with a media plane of its own.
pub(crate) fn builder() -> SessionManagerBuilder {
    let first = free_range([127, 0, 0, 1].into(), PORT_COUNT).expect("free ports");
    SessionManagerBuilder::new()
        .with_local_bind_addr("127.0.0.1:0".parse().expect("an address"))
        .with_media_ports(first, first + PORT_COUNT - 1)
        // All peers of the tests are on this host.
        .with_local_destinations(true)
}

/// Started, with this handler.
pub(crate) async fn started_with(handler: impl CallHandler + 'static) -> Arc<SessionCoordinator> {
    started(builder().with_handler(Arc::new(handler))).await
}

pub(crate) async fn started(builder: SessionManagerBuilder) -> Arc<SessionCoordinator> {
    let coordinator = builder.build().await.expect("a sound configuration");
    SessionControl::start(&coordinator).await.expect("it starts");
    coordinator
}

/// SIPp calls, and what it counted.
pub(crate) async fn sipp(folder: &Path, to: SocketAddr, plan: SippPlan) -> SippResult {
    let folder = folder.to_owned();
    let calls = move || Sipp::start(&folder, "uac", Some(to), &plan)?.finish(clock::Duration::from_secs(60));
    tokio::task::spawn_blocking(calls).await.expect("no panic").expect("SIPp runs")
}

/// Waits until something is so.
pub(crate) async fn until(within: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = tokio::time::Instant::now() + within;
    while !holds() {
        if tokio::time::Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

/// Our own callers, and what they report.
pub(crate) async fn callers(plan: CallPlan) -> CallsReport {
    tokio::task::spawn_blocking(move || call(&plan, &mut |_, _| {}).unwrap()).await.unwrap()
}
