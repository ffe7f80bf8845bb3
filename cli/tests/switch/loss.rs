//! A link that loses one datagram in ten, each way. `make loss` does it with 10,000 calls.

use crate::machine::{PROGRAM, alone};
use clock::Duration;
use loadtest::loss::{LossPlan, lose};

#[test]
fn calls_end_properly_where_a_tenth_is_lost_each_way() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let plan = LossPlan {
        program: PROGRAM.into(),
        calls: 300,
        rate: 50,
        limit: 150,
        loss_percent: 10,
        t1: Duration::from_millis(100),
        seed: 1,
    };
    let run = lose(&plan, folder.path()).unwrap();
    println!("{}", run.to_text());
    run.verdict().unwrap();
}
